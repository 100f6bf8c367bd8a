
/*
 * The script of the deliverer: each change that has to be one step.
 */


#include "ngx_http_jelou_deliver.h"


/*
 * KEYS  the stream; the hash beside it; for "dead", the dead letters' stream
 * ARGV  the operation, the group, who calls, and the number of the lease
 *       ("fence") that it has, or nothing where there is none; then
 *
 *   own      ms that the lease shall last, the dead letters' stream
 *            held, ms that it is still another one's
 *            own, fence, 1 if paused, the group's last id
 *   join     the dead letters' stream
 *            makes the group, if it is not there: ok, 1 if paused
 *   release  ok
 *   read     consumer, how many, the largest event, bytes of all events
 *            ok, entries; paused
 *   claim    as read, ms that an entry was idle, where to begin
 *            ok, entries, where to go on
 *   get      the largest event, id: ok, entries
 *   done     1 to delete, number of ids, ids, those among them that have failed
 *            ok
 *   fail     id, what is kept of it: ok; gone, if somebody has acknowledged it
 *   dead     1 to delete, id, reason, status, attempts, first, last: ok; gone
 *   renew    consumer, ids: ok, those that are another one's or nobody's
 *   give     likewise: lets them be claimed at once
 *   leave    consumer: gives all that it has, and deletes it: ok
 *   tidy     ms: deletes consumers that are idle and have nothing: ok
 *
 * "lost" is what an operation says whose lease is another one's by now: its
 * number has grown.  What an application has taken is acknowledged without
 * asking, for that is so whoever says it.
 *
 * The first call writes, so that a server that may not write says so.  Errors
 * are returned as Redis has them.
 */

static const char  ngx_http_jelou_deliver_lua[] =
    "local stream, hash = KEYS[1], KEYS[2]\n"
    "local op, group, me, fence = ARGV[1], ARGV[2], ARGV[3], ARGV[4]\n"
    "local function bad(r) return type(r) == 'table' and r.err end\n"
    "local known = { event = 1, room_id = 1, project_id = 1,\n"
    "                received_at = 1, format = 1 }\n"
    "local e = redis.pcall('HSETNX', hash, 'fence', 0)\n"
    "if bad(e) then return e end\n"
    "local t = redis.call('TIME')\n"
    "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"

    /* of entries, the fields that are known; of events, those that fit */

    "local function pack(list, max, bytes)\n"
    "  local out = {}\n"
    "  for _, entry in ipairs(list) do\n"
    "    if entry and entry[2] then\n"
    "      local f = {}\n"
    "      for i = 1, #entry[2], 2 do\n"
    "        local k, v = entry[2][i], entry[2][i + 1]\n"
    "        if k == 'event' and #v > max then\n"
    "          k, v = 'jelou_large', ''\n"
    "        elseif k == 'event' and bytes < #v then\n"
    "          k, v = 'jelou_later', ''\n"
    "        elseif k == 'event' then\n"
    "          bytes = bytes - #v\n"
    "        elseif not known[k] or #v > 4096 then\n"
    "          k = nil\n"
    "        end\n"
    "        if k then f[#f + 1] = k; f[#f + 1] = v end\n"
    "      end\n"
    "      local tried = redis.call('HGET', hash, 'e:' .. entry[1])\n"
    "      if tried then f[#f + 1] = 'jelou_tried'; f[#f + 1] = tried end\n"
    "      out[#out + 1] = { entry[1], f }\n"
    "    end\n"
    "  end\n"
    "  return out\n"
    "end\n"

    "local function join()\n"
    "  local r = redis.pcall('XGROUP', 'CREATE', stream, group, '0',\n"
    "                        'MKSTREAM')\n"
    "  if bad(r) and string.sub(r.err, 1, 9) ~= 'BUSYGROUP' then\n"
    "    return r\n"
    "  end\n"
    "  redis.call('HSET', hash, 'stream', stream, 'group', group,\n"
    "             'dead', ARGV[#ARGV])\n"
    "end\n"

    "local function last()\n"
    "  for _, g in ipairs(redis.call('XINFO', 'GROUPS', stream)) do\n"
    "    local name, id\n"
    "    for i = 1, #g, 2 do\n"
    "      if g[i] == 'name' then name = g[i + 1] end\n"
    "      if g[i] == 'last-delivered-id' then id = g[i + 1] end\n"
    "    end\n"
    "    if name == group then return id end\n"
    "  end\n"
    "  return '0-0'\n"
    "end\n"

    "local function remove(ids)\n"
    "  if #redis.call('XINFO', 'GROUPS', stream) == 1 then\n"
    "    redis.call('XDEL', stream, unpack(ids))\n"
    "  end\n"
    "end\n"

    "local function pending(id)\n"
    "  local p = redis.call('XPENDING', stream, group, id, id, 1)\n"
    "  return p[1]\n"
    "end\n"

    "local paused = redis.call('HGET', hash, 'paused') and 1 or 0\n"
    "local lease = redis.call('HMGET', hash, 'owner', 'fence', 'until')\n"

    "if op == 'own' then\n"
    "  local left = (tonumber(lease[3]) or 0) - now\n"
    "  if lease[1] and lease[1] ~= me and left > 0 then\n"
    "    return { 'held', left }\n"
    "  end\n"
    "  if lease[1] ~= me or lease[2] ~= fence then\n"
    "    local r = join()\n"
    "    if r then return r end\n"
    "    lease[2] = redis.call('HINCRBY', hash, 'fence', 1)\n"
    "  end\n"
    "  redis.call('HSET', hash, 'owner', me, 'until', now + ARGV[5])\n"
    "  return { 'own', tostring(lease[2]), paused, last() }\n"
    "end\n"

    "if op == 'join' then\n"
    "  return join() or { 'ok', paused }\n"
    "end\n"

    "if op == 'release' then\n"
    "  if lease[1] == me then redis.call('HDEL', hash, 'owner', 'until') end\n"
    "  return { 'ok' }\n"
    "end\n"

    "if op == 'done' then\n"
    "  local n, ids, failed = tonumber(ARGV[6]), {}, {}\n"
    "  for i = 7, #ARGV do\n"
    "    if i < 7 + n then ids[#ids + 1] = ARGV[i]\n"
    "    else failed[#failed + 1] = 'e:' .. ARGV[i] end\n"
    "  end\n"
    "  local r = redis.pcall('XACK', stream, group, unpack(ids))\n"
    "  if bad(r) then return r end\n"
    "  if #failed > 0 then redis.call('HDEL', hash, unpack(failed)) end\n"
    "  if ARGV[5] == '1' then remove(ids) end\n"
    "  return { 'ok' }\n"
    "end\n"

    "if fence ~= '' and (lease[1] ~= me or lease[2] ~= fence) then\n"
    "  return { 'lost' }\n"
    "end\n"

    "if op == 'read' then\n"
    "  if paused == 1 then return { 'paused' } end\n"
    "  local r = redis.pcall('XREADGROUP', 'GROUP', group, ARGV[5], 'COUNT',\n"
    "                        ARGV[6], 'STREAMS', stream, '>')\n"
    "  if bad(r) then return r end\n"
    "  local list = r and r[1] and r[1][2] or {}\n"
    "  return { 'ok', pack(list, tonumber(ARGV[7]), tonumber(ARGV[8])) }\n"
    "end\n"

    "if op == 'claim' then\n"
    "  local r = redis.pcall('XAUTOCLAIM', stream, group, ARGV[5], ARGV[9],\n"
    "                        ARGV[10], 'COUNT', ARGV[6])\n"
    "  if bad(r) then return r end\n"
    "  return { 'ok', pack(r[2], tonumber(ARGV[7]), tonumber(ARGV[8])),\n"
    "           r[1] }\n"
    "end\n"

    "if op == 'get' then\n"
    "  local r = redis.pcall('XRANGE', stream, ARGV[6], ARGV[6])\n"
    "  if bad(r) then return r end\n"
    "  return { 'ok', pack(r, tonumber(ARGV[5]), tonumber(ARGV[5])) }\n"
    "end\n"

    "if op == 'fail' then\n"
    "  if not pending(ARGV[5]) then return { 'gone' } end\n"
    "  redis.call('HSET', hash, 'e:' .. ARGV[5], ARGV[6])\n"
    "  return { 'ok' }\n"
    "end\n"

    "if op == 'dead' then\n"
    "  if not pending(ARGV[6]) then return { 'gone' } end\n"
    "  local r = redis.call('XRANGE', stream, ARGV[6], ARGV[6])\n"
    "  local f = {}\n"
    "  for i = 1, math.min(r[1] and #r[1][2] or 0, 256) do\n"
    "    f[i] = r[1][2][i]\n"
    "  end\n"
    "  local names = { 'dead_id', 'dead_reason', 'dead_status',\n"
    "                  'dead_attempts', 'dead_first', 'dead_last' }\n"
    "  for i, name in ipairs(names) do\n"
    "    f[#f + 1] = name; f[#f + 1] = ARGV[5 + i]\n"
    "  end\n"
    "  f[#f + 1] = 'dead_stream'; f[#f + 1] = stream\n"
    "  f[#f + 1] = 'dead_group'; f[#f + 1] = group\n"
    "  f[#f + 1] = 'dead_at'; f[#f + 1] = string.format('%.0f', now)\n"
    "  r = redis.pcall('XADD', KEYS[3], '*', unpack(f))\n"
    "  if bad(r) then return r end\n"
    "  redis.call('XACK', stream, group, ARGV[6])\n"
    "  redis.call('HDEL', hash, 'e:' .. ARGV[6])\n"
    "  if ARGV[5] == '1' then remove({ ARGV[6] }) end\n"
    "  return { 'ok' }\n"
    "end\n"

    "local function give(id)\n"
    "  redis.call('XCLAIM', stream, group, '" NGX_HTTP_JELOU_DELIVER_CONSUMER
                  "', 0, id, 'IDLE', 86400000, 'JUSTID')\n"
    "end\n"

    "if op == 'renew' or op == 'give' then\n"
    "  local lost = {}\n"
    "  for i = 6, #ARGV do\n"
    "    local p = pending(ARGV[i])\n"
    "    if not p or p[2] ~= ARGV[5] then\n"
    "      lost[#lost + 1] = ARGV[i]\n"
    "    elseif op == 'give' then\n"
    "      give(ARGV[i])\n"
    "    else\n"
    "      redis.call('XCLAIM', stream, group, ARGV[5], 0, ARGV[i], 'IDLE',\n"
    "                 0, 'JUSTID')\n"
    "    end\n"
    "  end\n"
    "  return { 'ok', lost }\n"
    "end\n"

    /* a consumer that is deleted takes with it what is pending */

    "if op == 'leave' then\n"
    "  for n = 1, 100 do\n"
    "    local list = redis.pcall('XPENDING', stream, group, '-', '+', 100,\n"
    "                             ARGV[5])\n"
    "    if bad(list) then return list end\n"
    "    if not list[1] then\n"
    "      redis.call('XGROUP', 'DELCONSUMER', stream, group, ARGV[5])\n"
    "      break\n"
    "    end\n"
    "    for _, p in ipairs(list) do give(p[1]) end\n"
    "  end\n"
    "  return { 'ok' }\n"
    "end\n"

    "if op == 'tidy' then\n"
    "  local prefix = '" NGX_HTTP_JELOU_DELIVER_CONSUMER ":'\n"
    "  for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do\n"
    "    local v = {}\n"
    "    for i = 1, #c, 2 do v[c[i]] = c[i + 1] end\n"
    "    if string.sub(v.name, 1, #prefix) == prefix and v.pending == 0\n"
    "       and v.idle > tonumber(ARGV[5])\n"
    "    then\n"
    "      redis.call('XGROUP', 'DELCONSUMER', stream, group, v.name)\n"
    "    end\n"
    "  end\n"
    "  return { 'ok' }\n"
    "end\n"

    "return redis.error_reply('ERR no such operation')\n";


ngx_int_t
ngx_http_jelou_deliver_script_init(ngx_conf_t *cf,
    ngx_http_jelou_deliver_main_conf_t *dmcf)
{
    static ngx_str_t  lua = ngx_string(ngx_http_jelou_deliver_lua);

    return ngx_http_jelou_redis_script_texts(cf->pool, &lua, &dmcf->load,
                                             &dmcf->evalsha, &dmcf->eval);
}
