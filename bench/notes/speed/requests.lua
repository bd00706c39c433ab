-- wrk -s requests.lua URL -- METHOD FILE [USER]: requests the paths in FILE in turn; for POST, sends its lines to /notes.
local requests, next_request = {}, 0

function init(arguments)
  local method, file = arguments[1], arguments[2]
  wrk.headers["accept"] = "application/json"
  wrk.headers["user-agent"] = "wrk"
  wrk.headers["x-user"] = arguments[3]
  for line in io.lines(file) do
    if method == "POST" then
      wrk.headers["content-type"] = "application/json"
      table.insert(requests, wrk.format(method, "/notes", nil, line))
    else
      table.insert(requests, wrk.format(method, line))
    end
  end
end

function request()
  next_request = next_request % #requests + 1
  return requests[next_request]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
