-- One kind of request for wrk, from the environment: HEADERS, BODY. Where the body has @@ stands
-- a number that no other request has.

wrk.method = "POST"
wrk.body = os.getenv("BODY")
for name, value in os.getenv("HEADERS"):gmatch("([^:\n]+): ([^\n]*)") do
  wrk.headers[name] = value
end

local before, after = wrk.body:match("^(.-)@@(.*)$")
if before then
  local number = os.time() * 10000000
  request = function()
    number = number + 1
    return wrk.format(nil, nil, nil, before .. string.format("%.0f", number) .. after)
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "p999": %f, ' ..
    '"refused": %d, "broken": %d, "late": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3, errors.status,
    errors.connect + errors.read + errors.write, errors.timeout))
end
