/*
 * HMAC-SHA256 and SHA-256.
 */


#define OPENSSL_SUPPRESS_DEPRECATED

#include "hmac.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>


#define BLOCK   64
#define DIGEST  32


void
sha256(str_t text, uint8_t *digest)
{
    SHA256_CTX  ctx;

    SHA256_Init(&ctx);
    SHA256_Update(&ctx, text.data, text.len);
    SHA256_Final(digest, &ctx);
}


static void
half(const uint8_t *key, uint8_t pad, str_t text, uint8_t *digest)
{
    uint8_t     block[BLOCK];
    SHA256_CTX  ctx;

    for (size_t i = 0; i < BLOCK; i++) {
        block[i] = key[i] ^ pad;
    }

    SHA256_Init(&ctx);
    SHA256_Update(&ctx, block, BLOCK);
    SHA256_Update(&ctx, text.data, text.len);
    SHA256_Final(digest, &ctx);
}


void
hmac(str_t secret, str_t body, uint8_t *digest)
{
    uint8_t  key[BLOCK], inner[DIGEST];

    memset(key, 0, BLOCK);

    if (secret.len > BLOCK) {
        sha256(secret, key);

    } else {
        memcpy(key, secret.data, secret.len);
    }

    half(key, 0x36, body, inner);
    half(key, 0x5c, (str_t) { inner, DIGEST }, digest);
}


/* Keys and bodies on both sides of a block's length */

void
hmac_judge(void)
{
    uint8_t   text[3 * BLOCK], ours[DIGEST], theirs[DIGEST];
    uint64_t  seed = 1;

    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (uint8_t) random_next(&seed);
    }

    for (size_t key = 0; key < sizeof(text); key++) {
        for (size_t len = 0; len < sizeof(text); len += 31) {

            hmac((str_t) { text, key }, (str_t) { text, len }, ours);

            require(HMAC(EVP_sha256(), text, (int) key, text, len, theirs,
                         NULL)
                    && memcmp(ours, theirs, DIGEST) == 0,
                    "OpenSSL's HMAC is another");
        }
    }
}
