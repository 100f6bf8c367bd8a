-- The same job as the module's, in Lua: verify, check, normalize, forward.
--
-- Nothing is made for a request that can be kept: the keyed HMAC context is
-- set back to its start, not set up again; buffers and patterns are reused.
-- Unlike the module it names one violation, not all, and does not look for
-- malformed UTF-8 nor repeated members.

local bit = require "bit"
local cjson = require "cjson.safe"
local ffi = require "ffi"

local C = ffi.C
local ngx = ngx
local type = type
local byte = string.byte
local lower = string.lower
local encode = cjson.encode
local decode = cjson.decode
local find = ngx.re.find

cjson.decode_max_depth(32)

ffi.cdef [[
typedef struct evp_mac_st EVP_MAC;
typedef struct evp_mac_ctx_st EVP_MAC_CTX;

typedef struct {
    const char  *key;
    unsigned     data_type;
    void        *data;
    size_t       data_size;
    size_t       return_size;
} OSSL_PARAM;

EVP_MAC *EVP_MAC_fetch(void *ctx, const char *name, const char *properties);
EVP_MAC_CTX *EVP_MAC_CTX_new(EVP_MAC *mac);
OSSL_PARAM OSSL_PARAM_construct_utf8_string(const char *key, char *value,
    size_t size);
OSSL_PARAM OSSL_PARAM_construct_end(void);
int EVP_MAC_init(EVP_MAC_CTX *ctx, const char *key, size_t len,
    const OSSL_PARAM *params);
int EVP_MAC_update(EVP_MAC_CTX *ctx, const char *data, size_t len);
int EVP_MAC_final(EVP_MAC_CTX *ctx, unsigned char *out, size_t *len,
    size_t size);
typedef struct evp_md_st EVP_MD;

const EVP_MD *EVP_sha256(void);
int EVP_Digest(const char *data, size_t count, unsigned char *md,
    unsigned int *size, const EVP_MD *type, void *engine);
int CRYPTO_memcmp(const void *a, const void *b, size_t len);
]]

local secret = "@secret@"

local name = ffi.new("char[7]", "SHA256")
local params = ffi.new("OSSL_PARAM[2]")

params[0] = C.OSSL_PARAM_construct_utf8_string("digest", name, 0)
params[1] = C.OSSL_PARAM_construct_end()

local mac = C.EVP_MAC_CTX_new(C.EVP_MAC_fetch(nil, "HMAC", nil))

assert(C.EVP_MAC_init(mac, secret, #secret, params) == 1)

local len = ffi.new("size_t[1]")
local digest = ffi.new("unsigned char[32]")
local hex = ffi.new("unsigned char[64]")
local digits = ffi.new("unsigned char[17]", "0123456789abcdef")


local function verified(header, body)
    if #header ~= 71 or byte(header, 7) ~= 61
       or header:sub(1, 7) ~= "sha256="
    then
        return false
    end

    if C.EVP_MAC_init(mac, nil, 0, nil) ~= 1
       or C.EVP_MAC_update(mac, body, #body) ~= 1
       or C.EVP_MAC_final(mac, digest, len, 32) ~= 1
    then
        ngx.exit(500)
    end

    for i = 0, 31 do
        local b = digest[i]
        hex[2 * i] = digits[bit.rshift(b, 4)]
        hex[2 * i + 1] = digits[bit.band(b, 15)]
    end

    return C.CRYPTO_memcmp(hex, lower(header:sub(8)), 64) == 0
end


local function id(v)
    return type(v) == "string" and #v > 0 and #v <= 256
end


local function media(optional)
    return function(content)
        local url, mime = content.url, content.mime_type

        if type(url) ~= "string" or type(mime) ~= "string"
           or not find(url, [=[^https://[^/?#\s\x00-\x1f]+[^\s\x00-\x1f\x7f]*$]=],
                       "ijo")
           or not find(mime, [=[^[\w!#$%&'*+.^`|~-]+/[\w!#$%&'*+.^`|~-]+(;.*)?$]=],
                       "jo")
        then
            return nil
        end

        local s = '{"url":' .. encode(url) .. ',"mime_type":' .. encode(mime)
        local extra = optional and content[optional]

        if extra == nil or not optional then
            return s .. "}"
        end

        if type(extra) ~= "string" then
            return nil
        end

        return s .. ',"' .. optional .. '":' .. encode(extra) .. "}"
    end
end


local contents = {
    text = function(content)
        local body = content.body

        return type(body) == "string" and '{"body":' .. encode(body) .. "}"
    end,
    image = media("caption"),
    video = media("caption"),
    audio = media(),
    document = media("filename"),
}


local function normalized(m)
    local v = m.value

    if m.field ~= "messages" or m.object ~= "message_event"
       or m.event_type ~= "incoming_message"
       or not id(m.project_id) or not id(m.room_id) or not id(m.bot_id)
       or not id(m.user_id)
       or type(v) ~= "table" or not id(v.id) or type(v.content) ~= "table"
    then
        return nil
    end

    -- one search for all the identifiers

    if find(m.project_id .. m.room_id .. m.bot_id .. m.user_id .. v.id,
            [=[[\x00-\x1f\x7f]]=], "jo")
    then
        return nil
    end

    local write = contents[v.type]
    local content = write and write(v.content)

    if not content then
        return nil
    end

    return '{"field":"messages","object":"message_event",'
           .. '"event_type":"incoming_message","project_id":'
           .. encode(m.project_id)
           .. ',"room_id":' .. encode(m.room_id)
           .. ',"bot_id":' .. encode(m.bot_id)
           .. ',"user_id":' .. encode(m.user_id)
           .. ',"value":{"id":' .. encode(v.id)
           .. ',"type":"' .. v.type
           .. '","content":' .. content .. "}}"
end


local function refuse(status, key)
    local answer = '{"status":' .. status .. ',"error":{"key":"' .. key .. '"}}'

    ngx.status = status
    ngx.header.content_type = "application/json"
    ngx.header.content_length = #answer
    ngx.print(answer)

    return ngx.exit(status)
end


-- The event and the message id of a request that is right; any other one is
-- answered.

local function checked()
    if ngx.req.get_method() ~= "POST" then
        return refuse(405, "METHOD_NOT_ALLOWED")
    end

    local header = ngx.var.http_x_jelou_signature

    if not header then
        return refuse(401, "SIGNATURE_MISSING")
    end

    local content_type = ngx.var.content_type

    if content_type ~= "application/json"
       and not (content_type
                and find(content_type, [[^application/json[ \t]*(;|$)]], "ijo"))
    then
        return refuse(415, "UNSUPPORTED_MEDIA_TYPE")
    end

    ngx.req.read_body()

    local body = ngx.req.get_body_data()

    if not verified(header, body or "") then
        return refuse(401, "SIGNATURE_MISMATCH")
    end

    local message = body and decode(body)

    if type(message) ~= "table" then
        return refuse(400, "INVALID_JSON")
    end

    local event = normalized(message)

    if not event then
        return refuse(422, "INVALID_EVENT")
    end

    return event, message, body
end


local function access()
    ngx.req.set_body_data((checked()))
end


-- The queue: the module's own script, by its SHA-1, over a cosocket that is
-- kept.  RESP is written and read here, for Debian has no client.

local script = {}

for line in io.lines("@root@/ngx_http_jelou_module/queue/ngx_http_jelou_redis_script.c") do
    local text = line:match('^    "(.*)\\n";?$')

    if text then
        script[#script + 1] = text .. "\n"
    end
end

script = table.concat(script)

local sha1 = {}

for c in ngx.sha1_bin(script):gmatch(".") do
    sha1[#sha1 + 1] = ("%02x"):format(byte(c))
end

sha1 = table.concat(sha1)

local sha256 = C.EVP_sha256()


local function sha256_hex(text)
    if C.EVP_Digest(text, #text, digest, nil, sha256, nil) ~= 1 then
        ngx.exit(500)
    end

    for i = 0, 31 do
        local b = digest[i]
        hex[2 * i] = digits[bit.rshift(b, 4)]
        hex[2 * i + 1] = digits[bit.band(b, 15)]
    end

    return ffi.string(hex, 64)
end


local function resp(words)
    local out = { "*", #words, "\r\n" }
    local n = 3

    for i = 1, #words do
        local word = words[i]

        out[n + 1] = "$"
        out[n + 2] = #word
        out[n + 3] = "\r\n"
        out[n + 4] = word
        out[n + 5] = "\r\n"
        n = n + 5
    end

    return table.concat(out, "", 1, n)
end


-- what the script says, or nil and the first line of an error

local function reply(sock)
    local line = sock:receive()

    if not line or byte(line) ~= 36 then
        return nil, line
    end

    local size = tonumber(line:sub(2))
    local text = sock:receive(size + 2)

    return text and text:sub(1, size)
end


local function queue()
    local event, message, body = checked()

    if not event then
        return
    end

    local var = ngx.var
    local key = var.pid .. "." .. var.connection .. "."
                .. var.connection_requests

    local words = {
        "EVALSHA", sha1, "2", "bench",
        "jelou-id:{bench}:" .. sha256_hex(key), sha256_hex(body),
        "10", "", "10000", "incoming_message", "event", event,
        message.event_type, message.value.id, message.room_id,
        message.project_id, var.request_id, ("%d"):format(ngx.now() * 1000),
    }

    local sock = ngx.socket.tcp()

    if not sock:connect("127.0.0.1", @queue@) or not sock:send(resp(words)) then
        return refuse(500, "UPSTREAM_FAILED")
    end

    local code, err = reply(sock)

    if not code and err and err:sub(1, 9) == "-NOSCRIPT" then
        words[1], words[2] = "EVAL", script

        if sock:send(resp(words)) then
            code = reply(sock)
        end
    end

    if not code then
        return refuse(500, "UPSTREAM_FAILED")
    end

    sock:setkeepalive(600000, 256)

    if code == "!" then
        return refuse(422, "MESSAGE_ID_REUSED")
    end

    if code:sub(1, 1) == "=" then
        ngx.header["Idempotent-Replayed"] = "true"
    end

    local answer = '{"success":true,"messageId":' .. encode(message.value.id)
                   .. "}"

    ngx.header.content_type = "application/json"
    ngx.header.content_length = #answer
    ngx.print(answer)
end


return { access = access, queue = queue }
