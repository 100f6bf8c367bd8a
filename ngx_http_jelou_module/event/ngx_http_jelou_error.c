
/*
 * The catalogue of refusals: status, key and texts of every answer that is
 * not a success.
 */


#include "ngx_http_jelou_error.h"


/*
 * The layout of the Error object.  All answers have it: those that are known
 * at compile time and, with conversions in place of the texts, those that
 * depend on a status.
 */

#define ngx_http_jelou_body(message, reason, status, code, key,               \
                            description, dev_en, dev_es, client_en,           \
                            client_es)                                        \
    "{\"message\":\"" message "\","                                           \
    "\"statusMessage\":\"" reason "\","                                       \
    "\"status\":" status ","                                                  \
    "\"error\":{"                                                             \
    "\"code\":\"" code "\","                                                  \
    "\"key\":\"" key "\","                                                    \
    "\"description\":\"" description "\","                                    \
    "\"developerMessages\":{"                                                 \
    "\"en\":\"" dev_en "\","                                                  \
    "\"es\":\"" dev_es "\"},"                                                 \
    "\"clientMessages\":{"                                                    \
    "\"en\":\"" client_en "\","                                               \
    "\"es\":\"" client_es "\"}}}"

/* the end user learns the same from every refusal of one kind */

#define NGX_HTTP_JELOU_NOT_SENT                                               \
    "The message could not be sent.",                                         \
    "No se pudo enviar el mensaje."

#define NGX_HTTP_JELOU_TRY_LATER                                              \
    "The message could not be sent. Please try again later.",                 \
    "No se pudo enviar el mensaje. Inténtelo más tarde."

#define ngx_http_jelou_texts(...)  ngx_http_jelou_body(__VA_ARGS__)

#define ngx_http_jelou_refusal(level, status, reason, code, key, result,      \
                               message, description, dev_en, dev_es, ...)     \
    ngx_http_jelou_refusal_with("", "", level, status, reason, code, key,     \
                                result, message, description, dev_en, dev_es, \
                                __VA_ARGS__)

#define ngx_http_jelou_refusal_with(header, value, level, status, reason,     \
                                    code, key, result, message, description,  \
                                    dev_en, dev_es, ...)                      \
    { status, level, ngx_string(key), ngx_string(result),                     \
      ngx_string(#status " " reason),                                         \
      ngx_string(ngx_http_jelou_texts(message, reason, #status, code, key,    \
                                      description, dev_en, dev_es,            \
                                      __VA_ARGS__)),                          \
      ngx_string(header), ngx_string(value) }

/*
 * HTTP wants a challenge in each 401.  No registered scheme has the signature
 * in a field of its own: the scheme is the field's name.
 */

#define ngx_http_jelou_unsigned(...)                                          \
    ngx_http_jelou_refusal_with("WWW-Authenticate",                           \
                                "X-Jelou-Signature realm=\"jelou\"",          \
                                __VA_ARGS__)


static const ngx_http_jelou_error_t *ngx_http_jelou_error_compose(
    ngx_pool_t *pool, ngx_uint_t status, ngx_uint_t rejected);
static ngx_uint_t ngx_http_jelou_error_passes(ngx_uint_t status);
static const ngx_str_t *ngx_http_jelou_error_numbered(ngx_uint_t number);
static ngx_uint_t ngx_http_jelou_error_find(const ngx_str_t *result);


static ngx_http_jelou_error_t  ngx_http_jelou_errors[] = {

    ngx_http_jelou_refusal(NGX_LOG_INFO, 404, "Not Found",
        "404.1", "NOT_FOUND", "not_found",
        "Not found",
        "The path does not name a room or a bot.",
        "Send the message to /rooms/{roomId}/message or "
        "/bots/{botId}/messages.",
        "Envíe el mensaje a /rooms/{roomId}/message o "
        "/bots/{botId}/messages.",
        NGX_HTTP_JELOU_NOT_SENT),

    ngx_http_jelou_refusal_with("Allow", "POST",
        NGX_LOG_INFO, 405, "Method Not Allowed",
        "405.1", "METHOD_NOT_ALLOWED", "method_not_allowed",
        "Method not allowed",
        "Events are sent with POST.",
        "Send the event with the method POST.",
        "Envíe el evento con el método POST.",
        NGX_HTTP_JELOU_NOT_SENT),

    ngx_http_jelou_unsigned(NGX_LOG_WARN, 401, "Unauthorized",
        "401.1", "SIGNATURE_MISSING", "signature_missing",
        "Signature missing",
        "The request has no X-Jelou-Signature header.",
        "Send X-Jelou-Signature: sha256= and the HMAC-SHA256 of the raw "
        "body in hex.",
        "Envíe X-Jelou-Signature: sha256= y el HMAC-SHA256 del cuerpo sin "
        "modificar en hexadecimal.",
        NGX_HTTP_JELOU_NOT_SENT),

    ngx_http_jelou_unsigned(NGX_LOG_WARN, 401, "Unauthorized",
        "401.2", "SIGNATURE_MALFORMED", "signature_malformed",
        "Signature malformed",
        "The X-Jelou-Signature header is repeated or is not sha256= and 64 "
        "hex digits.",
        "Send exactly one X-Jelou-Signature header: sha256= and 64 hex "
        "digits.",
        "Envíe un solo encabezado X-Jelou-Signature: sha256= y 64 dígitos "
        "hexadecimales.",
        NGX_HTTP_JELOU_NOT_SENT),

    ngx_http_jelou_unsigned(NGX_LOG_WARN, 401, "Unauthorized",
        "401.3", "SIGNATURE_MISMATCH", "signature_mismatch",
        "Signature mismatch",
        "The signature is not that of this body with the signing secret.",
        "Compute the HMAC-SHA256 of the raw body, byte for byte as sent, "
        "with the signing secret.",
        "Calcule el HMAC-SHA256 del cuerpo, byte por byte como se envía, "
        "con el secreto de firma.",
        NGX_HTTP_JELOU_NOT_SENT),

    ngx_http_jelou_refusal(NGX_LOG_INFO, 415, "Unsupported Media Type",
        "415.1", "UNSUPPORTED_MEDIA_TYPE", "unsupported_media_type",
        "Unsupported media type",
        "The body must be application/json in UTF-8 without a "
        "Content-Encoding.",
        "Send Content-Type: application/json, with no charset but utf-8, and "
        "no Content-Encoding.",
        "Envíe Content-Type: application/json, sin otro charset que utf-8, y "
        "ningún Content-Encoding.",
        NGX_HTTP_JELOU_NOT_SENT),

    ngx_http_jelou_refusal(NGX_LOG_INFO, 413, "Payload Too Large",
        "413.1", "PAYLOAD_TOO_LARGE", "payload_too_large",
        "Payload too large",
        "The body is larger than this endpoint takes.",
        "Send a smaller body; media is sent by URL.",
        "Envíe un cuerpo más pequeño; los archivos se envían por URL.",
        NGX_HTTP_JELOU_NOT_SENT),

    ngx_http_jelou_refusal(NGX_LOG_INFO, 400, "Bad Request",
        "400.1", "INVALID_JSON", "invalid_json",
        "Invalid JSON",
        "The body is not a JSON object in UTF-8, or is nested too deep.",
        "Send one JSON object (RFC 8259) in UTF-8, nested at most 32 deep.",
        "Envíe un objeto JSON (RFC 8259) en UTF-8, con un máximo de 32 "
        "niveles.",
        NGX_HTTP_JELOU_NOT_SENT),

    ngx_http_jelou_refusal(NGX_LOG_INFO, 422, "Unprocessable Entity",
        "422.1", "INVALID_EVENT", "invalid_event",
        "Invalid event",
        "The event does not have the members that its schema requires.",
        "Correct the members named in validationError.",
        "Corrija los campos indicados en validationError.",
        NGX_HTTP_JELOU_NOT_SENT),

    ngx_http_jelou_refusal(NGX_LOG_INFO, 422, "Unprocessable Entity",
        "422.2", "TYPE_NOT_ALLOWED", "type_not_allowed",
        "Message type not allowed",
        "This endpoint does not take messages of this type.",
        "Send a message of a type that this endpoint allows.",
        "Envíe un mensaje de un tipo permitido en este recurso.",
        NGX_HTTP_JELOU_NOT_SENT),

    ngx_http_jelou_refusal(NGX_LOG_INFO, 422, "Unprocessable Entity",
        "422.3", "STALE_EVENT", "stale_event",
        "Stale event",
        "The event's timestamp is too far from the present.",
        "Send events when they happen, and check the sender's clock.",
        "Envíe los eventos cuando ocurren y revise el reloj del emisor.",
        NGX_HTTP_JELOU_NOT_SENT),

    ngx_http_jelou_refusal(NGX_LOG_INFO, 422, "Unprocessable Entity",
        "422.4", "MESSAGE_ID_REUSED", "message_id_reused",
        "Message id reused",
        "Another body was sent with the same message id before.",
        "Give every message an id of its own, and repeat a message "
        "unchanged.",
        "Asigne a cada mensaje un id propio y repita un mensaje sin "
        "cambios.",
        NGX_HTTP_JELOU_NOT_SENT),

    ngx_http_jelou_refusal_with("Retry-After", "1",
        NGX_LOG_INFO, 500, "Internal Server Error",
        "500.3", "DUPLICATE_IN_FLIGHT", "duplicate_in_flight",
        "Duplicate in flight",
        "The same message is being processed at this moment.",
        "Send the same event again after a second.",
        "Envíe el mismo evento de nuevo después de un segundo.",
        NGX_HTTP_JELOU_TRY_LATER),

    ngx_http_jelou_refusal(NGX_LOG_ERR, 500, "Internal Server Error",
        "500.2", "UPSTREAM_FAILED", "upstream_failed",
        "Event not processed",
        "The event was valid but could not be processed.",
        "Send the same event again later.",
        "Envíe el mismo evento de nuevo más tarde.",
        NGX_HTTP_JELOU_TRY_LATER),

    ngx_http_jelou_refusal(NGX_LOG_INFO, 400, "Bad Request",
        "400.2", "UPSTREAM_REJECTED", "upstream_rejected",
        "Event rejected",
        "The event was valid but the application rejected it.",
        "Do not send the same event again unchanged.",
        "No envíe el mismo evento de nuevo sin cambios.",
        NGX_HTTP_JELOU_NOT_SENT),

    ngx_http_jelou_refusal(NGX_LOG_ERR, 500, "Internal Server Error",
        "500.4", "UPSTREAM_SECRET_MISSING", "upstream_secret_missing",
        "Not signed",
        "The event was valid, and there is no secret to sign it with.",
        "Configure a secret for this project where the event is signed, and "
        "send the same event again.",
        "Configure un secreto para este proyecto donde se firma el evento, y "
        "envíe el mismo evento de nuevo.",
        NGX_HTTP_JELOU_TRY_LATER),

    ngx_http_jelou_refusal(NGX_LOG_ERR, 500, "Internal Server Error",
        "500.5", "UPSTREAM_SIGNATURE_REFUSED", "upstream_signature_refused",
        "Signature refused",
        "The event was valid, and its receiver did not accept the signature.",
        "Configure the receiver's secret where the event is signed, and send "
        "the same event again.",
        "Configure el secreto del receptor donde se firma el evento, y envíe "
        "el mismo evento de nuevo.",
        NGX_HTTP_JELOU_TRY_LATER),

    ngx_http_jelou_refusal(NGX_LOG_ERR, 500, "Internal Server Error",
        "500.1", "INTERNAL_ERROR", "internal_error",
        "Internal error",
        "The request could not be processed.",
        "Send the same event again later.",
        "Envíe el mismo evento de nuevo más tarde.",
        NGX_HTTP_JELOU_TRY_LATER),
};


typedef struct {
    ngx_uint_t   status;
    ngx_uint_t   refusal;       /* the catalogue has it, or 0 */
    ngx_str_t    reason;
    ngx_str_t    key;
    ngx_str_t    result;
} ngx_http_jelou_status_t;


static ngx_http_jelou_status_t
    ngx_http_jelou_statuses[NGX_HTTP_JELOU_NSTATUSES] =
{

    { 400, 0, ngx_string("Bad Request"),
      ngx_string("BAD_REQUEST"), ngx_string("bad_request") },

    { 401, 0, ngx_string("Unauthorized"),
      ngx_string("UNAUTHORIZED"), ngx_string("unauthorized") },

    { 402, 0, ngx_string("Payment Required"),
      ngx_string("PAYMENT_REQUIRED"), ngx_string("payment_required") },

    { 403, 0, ngx_string("Forbidden"),
      ngx_string("FORBIDDEN"), ngx_string("forbidden") },

    { 404, 0, ngx_string("Not Found"),
      ngx_string("NOT_FOUND"), ngx_string("not_found") },

    { 405, NGX_HTTP_JELOU_METHOD_NOT_ALLOWED, ngx_string("Method Not Allowed"),
      ngx_null_string, ngx_null_string },

    { 406, 0, ngx_string("Not Acceptable"),
      ngx_string("NOT_ACCEPTABLE"), ngx_string("not_acceptable") },

    { 408, 0, ngx_string("Request Timeout"),
      ngx_string("REQUEST_TIMEOUT"), ngx_string("request_timeout") },

    { 409, 0, ngx_string("Conflict"),
      ngx_string("CONFLICT"), ngx_string("conflict") },

    { 410, 0, ngx_string("Gone"),
      ngx_string("GONE"), ngx_string("gone") },

    { 411, 0, ngx_string("Length Required"),
      ngx_string("LENGTH_REQUIRED"), ngx_string("length_required") },

    { 412, 0, ngx_string("Precondition Failed"),
      ngx_string("PRECONDITION_FAILED"), ngx_string("precondition_failed") },

    { 413, NGX_HTTP_JELOU_PAYLOAD_TOO_LARGE, ngx_string("Payload Too Large"),
      ngx_null_string, ngx_null_string },

    { 415, NGX_HTTP_JELOU_UNSUPPORTED_MEDIA_TYPE,
      ngx_string("Unsupported Media Type"),
      ngx_null_string, ngx_null_string },

    { 421, 0, ngx_string("Misdirected Request"),
      ngx_string("MISDIRECTED_REQUEST"), ngx_string("misdirected_request") },

    { 422, 0, ngx_string("Unprocessable Entity"),
      ngx_string("UNPROCESSABLE_ENTITY"),
      ngx_string("unprocessable_entity") },

    { 423, 0, ngx_string("Locked"),
      ngx_string("LOCKED"), ngx_string("locked") },

    { 425, 0, ngx_string("Too Early"),
      ngx_string("TOO_EARLY"), ngx_string("too_early") },

    { 426, 0, ngx_string("Upgrade Required"),
      ngx_string("UPGRADE_REQUIRED"), ngx_string("upgrade_required") },

    { 428, 0, ngx_string("Precondition Required"),
      ngx_string("PRECONDITION_REQUIRED"),
      ngx_string("precondition_required") },

    { 429, 0, ngx_string("Too Many Requests"),
      ngx_string("TOO_MANY_REQUESTS"), ngx_string("too_many_requests") },

    { 431, 0, ngx_string("Request Header Fields Too Large"),
      ngx_string("REQUEST_HEADER_FIELDS_TOO_LARGE"),
      ngx_string("request_header_fields_too_large") },

    { 451, 0, ngx_string("Unavailable For Legal Reasons"),
      ngx_string("UNAVAILABLE_FOR_LEGAL_REASONS"),
      ngx_string("unavailable_for_legal_reasons") },

    /* any other 4xx */

    { 0, 0, ngx_string("Client Error"),
      ngx_string("REQUEST_REFUSED"), ngx_string("request_refused") }
};


/* what is composed when it is needed: one body for many statuses */

static const char  ngx_http_jelou_by_status[] = ngx_http_jelou_texts(
    "Request refused", "%V", "%ui", "%ui.0", "%V",
    "The request was refused before its event was looked at.",
    "Check the method, the address and the rate of your requests.",
    "Revise el método, la dirección y la frecuencia de sus peticiones.",
    NGX_HTTP_JELOU_NOT_SENT);

static const char  ngx_http_jelou_by_upstream[] = ngx_http_jelou_texts(
    "Event rejected", "%V", "%ui", "%ui.2", "%V",
    "The event was valid but the application rejected it.",
    "Do not send the same event again unchanged.",
    "No envíe el mismo evento de nuevo sin cambios.",
    NGX_HTTP_JELOU_NOT_SENT);

static const char  ngx_http_jelou_for_now[] = ngx_http_jelou_texts(
    "Event rejected", "%V", "%ui", "%ui.2", "%V",
    "The event was valid but the application rejected it for now.",
    "Send the same event again later.",
    "Envíe el mismo evento de nuevo más tarde.",
    NGX_HTTP_JELOU_TRY_LATER);


const ngx_http_jelou_error_t *
ngx_http_jelou_error(ngx_uint_t refusal)
{
    return &ngx_http_jelou_errors[refusal - 1];
}


const ngx_http_jelou_error_t *
ngx_http_jelou_error_by_status(ngx_pool_t *pool, ngx_uint_t status)
{
    if (status < 400 || status > 499) {
        return ngx_http_jelou_error(NGX_HTTP_JELOU_INTERNAL_ERROR);
    }

    return ngx_http_jelou_error_compose(pool, status, 0);
}


const ngx_http_jelou_error_t *
ngx_http_jelou_error_rejected(ngx_pool_t *pool, ngx_uint_t status)
{
    return ngx_http_jelou_error_compose(pool, status, 1);
}


static const ngx_http_jelou_error_t *
ngx_http_jelou_error_compose(ngx_pool_t *pool, ngx_uint_t status,
    ngx_uint_t rejected)
{
    size_t                    len;
    const char               *format;
    ngx_http_jelou_error_t   *e, *refusal;
    ngx_http_jelou_status_t  *s;

    for (s = ngx_http_jelou_statuses; s->status; s++) {
        if (s->status == status) {
            break;
        }
    }

    refusal = NULL;
    format = ngx_http_jelou_by_status;

    if (rejected) {
        format = ngx_http_jelou_error_passes(status)
                 ? ngx_http_jelou_for_now : ngx_http_jelou_by_upstream;
        refusal = &ngx_http_jelou_errors[NGX_HTTP_JELOU_UPSTREAM_REJECTED - 1];

    } else if (s->refusal) {
        return ngx_http_jelou_error(s->refusal);
    }

    e = ngx_pcalloc(pool, sizeof(ngx_http_jelou_error_t));
    if (e == NULL) {
        return NULL;
    }

    e->status = status;
    e->level = NGX_LOG_INFO;
    e->key = rejected ? refusal->key : s->key;
    e->result = rejected ? refusal->result : s->result;

    len = sizeof(ngx_http_jelou_by_status) + sizeof(ngx_http_jelou_for_now)
          + 2 * NGX_INT_T_LEN + 2 * s->reason.len + e->key.len;

    e->body.data = ngx_pnalloc(pool, len);
    if (e->body.data == NULL) {
        return NULL;
    }

    e->body.len = ngx_sprintf(e->body.data, format, &s->reason, status, status,
                              &e->key)
                  - e->body.data;

    e->status_line.data = e->body.data + e->body.len;
    e->status_line.len = ngx_sprintf(e->status_line.data, "%ui %V",
                                     status, &s->reason)
                         - e->status_line.data;

    return e;
}


/* a request that may do better another time, by what the status says */

static ngx_uint_t
ngx_http_jelou_error_passes(ngx_uint_t status)
{
    return status == 408 || status == 425 || status == 429;
}


ngx_uint_t
ngx_http_jelou_error_number(const ngx_http_jelou_error_t *error)
{
    return ngx_http_jelou_error_find(&error->result);
}


const ngx_str_t *
ngx_http_jelou_error_result(ngx_uint_t number)
{
    const ngx_str_t  *result;

    static const ngx_str_t  none = ngx_null_string;

    result = ngx_http_jelou_error_numbered(number);

    /* 404 is in both tables, with one result */

    return ngx_http_jelou_error_find(result) == number ? result : &none;
}


static const ngx_str_t *
ngx_http_jelou_error_numbered(ngx_uint_t number)
{
    if (number < NGX_HTTP_JELOU_NERRORS) {
        return &ngx_http_jelou_errors[number - 1].result;
    }

    return &ngx_http_jelou_statuses[number - NGX_HTTP_JELOU_NERRORS].result;
}


static ngx_uint_t
ngx_http_jelou_error_find(const ngx_str_t *result)
{
    ngx_uint_t        number;
    const ngx_str_t  *s;

    for (number = 1; number < NGX_HTTP_JELOU_NNUMBERS; number++) {
        s = ngx_http_jelou_error_numbered(number);

        if (s->len && s->len == result->len
            && ngx_memcmp(s->data, result->data, s->len) == 0)
        {
            return number;
        }
    }

    return NGX_HTTP_JELOU_INTERNAL_ERROR;
}
