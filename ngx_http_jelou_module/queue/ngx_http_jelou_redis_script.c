
/*
 * The script that appends an event, once.
 */


#include "ngx_http_jelou_redis.h"

#include <ngx_sha1.h>


static ngx_int_t ngx_http_jelou_redis_script_begin(ngx_pool_t *pool,
    ngx_str_t *text, ngx_str_t *script, ngx_uint_t key);


/*
 * Sets the key, if it is not there, and appends the entry: there is never the
 * one without the other.  The first call is one that writes, so that a server
 * that may not write says so, whatever it knows.  What is taken back expires:
 * it takes no right that has not just been used.  Errors are returned as Redis
 * has them: an error that is raised would begin with other words, depending on
 * the version.  A function in the script would be made anew for each event.
 *
 * KEYS  the stream, the key if there is one
 * ARGV  the key's value: the body's SHA-256, and random bytes of the message
 *       id; its time to live; how many entries there may be, or nothing; how
 *       many are kept, or nothing; the values of the fields
 *
 * Returns the entry's id, and how many others were dropped; "=" and what stands
 * behind the SHA-256, if the event is there; "!", if another one is; or "#", if
 * there are too many.
 */

static const char  ngx_http_jelou_redis_lua[] =
    "local stream, key, call = KEYS[1], KEYS[2], redis.pcall\n"
    "if key then\n"
    "  local set = call('SET', key, ARGV[1], 'NX', 'EX', ARGV[2])\n"
    "  if not set then\n"
    "    local seen = call('GET', key)\n"
    "    if type(seen) == 'table' then return seen end\n"
    "    if seen and seen ~= '' then\n"
    "      if string.sub(seen, 1, 64) ~= string.sub(ARGV[1], 1, 64) then\n"
    "        return '!'\n"
    "      end\n"
    "      return '=' .. string.sub(seen, 65)\n"
    "    end\n"
    "    set = call('SET', key, ARGV[1], 'EX', ARGV[2])\n"
    "  end\n"
    "  if set.err then return set end\n"
    "end\n"
    "local limit, failed, id, n = tonumber(ARGV[3])\n"
    "if limit and key then\n"
    "  n = call('XLEN', stream)\n"
    "  if type(n) == 'table' then failed = n\n"
    "  elseif n >= limit then failed = '#' end\n"
    "end\n"
    "if not failed then\n"
    "  id = call('XADD', stream, '*', 'event', ARGV[7],\n"
    "            'event_type', ARGV[8], 'message_id', ARGV[9],\n"
    "            'room_id', ARGV[10], 'project_id', ARGV[11],\n"
    "            'request_id', ARGV[12], 'received_at', ARGV[13],\n"
    "            'endpoint', ARGV[5], 'format', ARGV[6])\n"
    "  if type(id) == 'table' then failed, id = id, nil end\n"
    "end\n"
    "if id and limit and not key then\n"
    "  n = call('XLEN', stream)\n"
    "  if type(n) == 'table' then failed = n\n"
    "  elseif n > limit then failed = '#' end\n"
    "end\n"
    "if id and not failed and ARGV[4] ~= '' then\n"
    "  n = call('XTRIM', stream, 'MAXLEN', '~', ARGV[4])\n"
    "  if type(n) == 'table' then failed = n\n"
    "  elseif n > 0 then return id .. ' ' .. n end\n"
    "end\n"
    "if not failed then return id end\n"
    "if id then call('XDEL', stream, id) end\n"
    "if key then call('SET', key, '', 'PX', 1) end\n"
    "return failed\n";


ngx_int_t
ngx_http_jelou_redis_script_init(ngx_conf_t *cf,
    ngx_http_jelou_redis_main_conf_t *rmcf)
{
    ngx_str_t   evalsha, eval;
    ngx_uint_t  i;

    static ngx_str_t  lua = ngx_string(ngx_http_jelou_redis_lua);

    if (ngx_http_jelou_redis_script_texts(cf->pool, &lua, &rmcf->load,
                                          &evalsha, &eval)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < 2; i++) {
        if (ngx_http_jelou_redis_script_begin(cf->pool, &rmcf->begin[i],
                                              &evalsha, i)
            != NGX_OK
            || ngx_http_jelou_redis_script_begin(cf->pool, &rmcf->eval[i],
                                                 &eval, i)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* The number of words, the script, the number of keys. */

static ngx_int_t
ngx_http_jelou_redis_script_begin(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *script, ngx_uint_t key)
{
    text->data = ngx_pnalloc(pool, script->len + 64);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    text->len = ngx_sprintf(text->data,
                            "*%ui" CRLF "%V" "$1" CRLF "%ui" CRLF,
                            3 + 1 + key + 4 + NGX_HTTP_JELOU_REDIS_NFIELDS,
                            script, 1 + key)
                - text->data;

    return NGX_OK;
}


ngx_int_t
ngx_http_jelou_redis_script_texts(ngx_pool_t *pool, ngx_str_t *lua,
    ngx_str_t *load, ngx_str_t *evalsha, ngx_str_t *eval)
{
    u_char      digest[20], sha[NGX_HTTP_JELOU_REDIS_SHA_LEN];
    ngx_str_t   words[3];
    ngx_sha1_t  sha1;

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, lua->data, lua->len);
    ngx_sha1_final(digest, &sha1);

    (void) ngx_hex_dump(sha, digest, sizeof(digest));

    evalsha->data = ngx_pnalloc(pool, sizeof(sha) + 64);
    eval->data = ngx_pnalloc(pool, lua->len + 64);

    if (evalsha->data == NULL || eval->data == NULL) {
        return NGX_ERROR;
    }

    evalsha->len = ngx_sprintf(evalsha->data,
                               "$7" CRLF "EVALSHA" CRLF "$%uz" CRLF "%*s" CRLF,
                               sizeof(sha), sizeof(sha), sha)
                   - evalsha->data;

    eval->len = ngx_sprintf(eval->data,
                            "$4" CRLF "EVAL" CRLF "$%uz" CRLF "%V" CRLF,
                            lua->len, lua)
                - eval->data;

    ngx_str_set(&words[0], "SCRIPT");
    ngx_str_set(&words[1], "LOAD");
    words[2] = *lua;

    return ngx_http_jelou_redis_text(pool, load, 3, words);
}


void
ngx_http_jelou_redis_command_eval(ngx_http_jelou_redis_ctx_t *ctx)
{
    ngx_http_jelou_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_get_module_main_conf(ctx->request,
                                         ngx_http_jelou_redis_module);

    ctx->pieces[0].data = rmcf->eval[ctx->outcome.key].data;
    ctx->pieces[0].len = rmcf->eval[ctx->outcome.key].len;

    ctx->eval = 1;
}
