// Reads CloudEvents in the JSON format on the standard input, one a line, and
// lets the CloudEvents library of npm judge them.  It prints "ok" for each that
// is valid, and what is wrong with each other one; it exits with 1 if there is
// one of these, or none at all.

"use strict";

const fs = require("fs");
const util = require("util");
const { HTTP } = require(`${__dirname}/../../build/node_modules/cloudevents`);

const headers = { "content-type": "application/cloudevents+json" };


// The library fills in what is required and absent: an event is the one that
// was sent if it has the same attributes, and no other ones.

function judge(body) {
    const message = { headers, body };

    if (!HTTP.isEvent(message)) {
        throw new Error("the library sees no event");
    }

    const event = HTTP.toEvent(message);

    if (event.validate() !== true) {
        throw new Error("the library does not know this specversion");
    }

    const read = Object.fromEntries(Object.entries(event)
                       .filter(([, value]) => value !== undefined));

    if (!util.isDeepStrictEqual(read, JSON.parse(body))) {
        throw new Error(`the library understands ${JSON.stringify(read)}`);
    }
}


let failed = 0;

const lines = fs.readFileSync(0, "utf8").split("\n").filter((line) => line);

for (const line of lines) {
    try {
        judge(line);
        console.log("ok");
    } catch (error) {
        failed++;
        console.log(error.message.replace(/\s+/g, " "));
    }
}

process.exit(failed || lines.length === 0 ? 1 : 0);
