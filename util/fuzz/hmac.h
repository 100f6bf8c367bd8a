/*
 * HMAC-SHA256 as RFC 2104 defines it, over SHA-256 of OpenSSL's.  Of OpenSSL's
 * own HMAC, which the module has, each call looks the algorithm up and
 * allocates: more than all that is done with a small body besides.
 */


#ifndef FUZZ_HMAC_H
#define FUZZ_HMAC_H


#include "tree.h"


void hmac(str_t secret, str_t body, uint8_t *digest);
void sha256(str_t text, uint8_t *digest);

/* Ends the program if OpenSSL's HMAC says something else. */
void hmac_judge(void);


#endif
