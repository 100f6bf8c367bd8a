/*
 * The same job as the module's, in njs: verify, check, normalize, forward.
 *
 * njs begins each request with a new copy of its state, so that nothing can be
 * kept from one to the next.  Unlike the module it names one violation, not
 * all, and does not look for malformed UTF-8 nor repeated members.
 */

import crypto from 'crypto';

const secret = '@secret@';
const control = /[\x00-\x1f\x7f]/;
const https = /^https:\/\/[^\/?#\s\x00-\x1f]+[^\s\x00-\x1f\x7f]*$/i;
const mime = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+(;.*)?$/;
const json = /^application\/json[ \t]*(;|$)/i;


/* the digests have the same length, and all of it is compared */

function equal(one, two) {
    let differ = 0;

    for (let i = 0; i < 64; i++) {
        differ |= one.charCodeAt(i) ^ two.charCodeAt(i);
    }

    return differ === 0;
}


function verified(header, body) {
    if (header.length !== 71 || !header.startsWith('sha256=')) {
        return false;
    }

    const digest = crypto.createHmac('sha256', secret).update(body)
                         .digest('hex');

    return equal(digest, header.slice(7).toLowerCase());
}


function id(v) {
    return typeof v === 'string' && v.length > 0 && v.length <= 256;
}


function media(content, optional) {
    if (typeof content.url !== 'string' || !https.test(content.url)
        || typeof content.mime_type !== 'string'
        || !mime.test(content.mime_type))
    {
        return null;
    }

    const event = { url: content.url, mime_type: content.mime_type };

    if (optional && content[optional] !== undefined) {

        if (typeof content[optional] !== 'string') {
            return null;
        }

        event[optional] = content[optional];
    }

    return event;
}


function content(type, c) {
    switch (type) {
    case 'text':
        return typeof c.body === 'string' ? { body: c.body } : null;
    case 'image':
    case 'video':
        return media(c, 'caption');
    case 'audio':
        return media(c);
    case 'document':
        return media(c, 'filename');
    }

    return null;
}


function normalized(m) {
    const v = m.value;

    if (m.field !== 'messages' || m.object !== 'message_event'
        || m.event_type !== 'incoming_message'
        || !id(m.project_id) || !id(m.room_id) || !id(m.bot_id)
        || !id(m.user_id)
        || typeof v !== 'object' || v === null || !id(v.id)
        || typeof v.content !== 'object' || v.content === null
        || control.test(m.project_id + m.room_id + m.bot_id + m.user_id
                        + v.id))
    {
        return null;
    }

    const c = content(v.type, v.content);

    if (c === null) {
        return null;
    }

    return JSON.stringify({
        field: m.field, object: m.object, event_type: m.event_type,
        project_id: m.project_id, room_id: m.room_id, bot_id: m.bot_id,
        user_id: m.user_id,
        value: { id: v.id, type: v.type, content: c }
    });
}


function refuse(r, status, key) {
    r.headersOut['Content-Type'] = 'application/json';
    r.return(status, `{"status":${status},"error":{"key":"${key}"}}`);
}


function handle(r) {
    let message;

    if (r.method !== 'POST') {
        return refuse(r, 405, 'METHOD_NOT_ALLOWED');
    }

    const header = r.variables.http_x_jelou_signature;

    if (header === undefined) {
        return refuse(r, 401, 'SIGNATURE_MISSING');
    }

    const type = r.variables.content_type;

    if (type !== 'application/json' && !(type && json.test(type))) {
        return refuse(r, 415, 'UNSUPPORTED_MEDIA_TYPE');
    }

    const body = r.requestBuffer || '';

    if (!verified(header, body)) {
        return refuse(r, 401, 'SIGNATURE_MISMATCH');
    }

    try {
        message = JSON.parse(r.requestText);
    } catch (e) {
        return refuse(r, 400, 'INVALID_JSON');
    }

    if (typeof message !== 'object' || message === null) {
        return refuse(r, 400, 'INVALID_JSON');
    }

    const event = normalized(message);

    if (event === null) {
        return refuse(r, 422, 'INVALID_EVENT');
    }

    r.subrequest('/forward', { method: 'POST', body: event }, function(reply) {
        r.headersOut['Content-Type'] = 'application/json';
        r.return(reply.status, reply.responseText);
    });
}


export default { content: handle };
