-- Sends one message all the time.  BODY is its file, SIGNATURE the header's
-- value or "-" for none; what comes of it is one line for run.sh.

local file = assert(io.open(os.getenv("BODY"), "rb"))

wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "application/json"

file:close()

local signature = os.getenv("SIGNATURE")

if signature ~= "-" then
    wrk.headers["X-Jelou-Signature"] = signature
end

function done(summary, latency)
    local errors = summary.errors

    -- times are in microseconds; a status above 399 is an "error"

    io.write(string.format("RESULT %d %.6f %.0f %.0f %d %d\n",
                           summary.requests, summary.duration / 1e6,
                           latency:percentile(50), latency:percentile(99),
                           errors.connect + errors.read + errors.write
                           + errors.timeout, errors.status))
end
