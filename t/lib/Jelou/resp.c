
/*
 * Reads commands on the standard input, and compares each with what hiredis'
 * own formatter makes of the same words, byte for byte.  Prints the words of
 * each, a line a command: percent signs, spaces and what is not printable as
 * %XX, and of a long one so many bytes.
 *
 * Ends with 1 and a message if one is not the same, or is none.
 */


#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>


#define SHOWN  128


static void
show(const char *word, size_t len)
{
    size_t         i;
    unsigned char  c;

    for (i = 0; i < len && i < SHOWN; i++) {
        c = (unsigned char) word[i];

        if (c > ' ' && c < 0x7f && c != '%') {
            putchar(c);

        } else {
            printf("%%%02X", c);
        }
    }
}


static int
compare(const redisReply *reply, const char *sent, size_t left, size_t *len)
{
    char         *text;
    size_t        i, *lens;
    const char  **words;
    long long     n;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0) {
        fprintf(stderr, "not a command\n");
        return 1;
    }

    words = calloc(reply->elements, sizeof(char *));
    lens = calloc(reply->elements, sizeof(size_t));

    if (words == NULL || lens == NULL) {
        return 1;
    }

    for (i = 0; i < reply->elements; i++) {

        if (reply->element[i]->type != REDIS_REPLY_STRING) {
            fprintf(stderr, "not a word\n");
            return 1;
        }

        words[i] = reply->element[i]->str;
        lens[i] = reply->element[i]->len;

        show(words[i], lens[i]);
        putchar(i + 1 < reply->elements ? ' ' : '\n');
    }

    n = redisFormatCommandArgv(&text, (int) reply->elements, words, lens);

    if (n < 0 || (size_t) n > left || memcmp(text, sent, (size_t) n) != 0) {
        fprintf(stderr, "%s: other bytes than hiredis'\n", words[0]);
        return 1;
    }

    *len = (size_t) n;

    redisFreeCommand(text);
    free(words);
    free(lens);

    return 0;
}


int
main(void)
{
    char         *data;
    size_t        size, len, n;
    void         *reply;
    redisReader  *reader;

    size = 0;
    data = NULL;

    do {
        data = realloc(data, size + 65536);

        if (data == NULL) {
            return 1;
        }

        n = fread(data + size, 1, 65536, stdin);
        size += n;
    } while (n);

    reader = redisReaderCreate();

    if (reader == NULL || redisReaderFeed(reader, data, size) != REDIS_OK) {
        return 1;
    }

    for (n = 0; n < size; n += len) {

        if (redisReaderGetReply(reader, &reply) != REDIS_OK || reply == NULL) {
            fprintf(stderr, "not a whole command at %zu of %zu\n", n, size);
            return 1;
        }

        if (compare(reply, data + n, size - n, &len) != 0) {
            return 1;
        }

        freeReplyObject(reply);
    }

    redisReaderFree(reader);
    free(data);

    return 0;
}
