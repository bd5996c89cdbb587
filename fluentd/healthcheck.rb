# Health check of Fluentd: its monitor answers and the buffer has room. Needs no secret and no curl.
# Exit code 0 if so, 1 with one line if not.

require "json"
require "net/http"

# At this much room left, in percent, tailing stops: the lines wait in their files until Elasticsearch accepts some.
FULL_BELOW = Float(ENV["INFERLOG_FLUENTD_HEALTH_FULL_BELOW"] || "2")

def unwell(why)
  warn why
  exit 1
end

begin
  port = Integer(ENV["INFERLOG_FLUENTD_MONITOR_PORT"] || "24220")
  http = Net::HTTP.new("127.0.0.1", port, nil) # nil: no proxy, even if the environment configures one
  http.open_timeout = http.read_timeout = 3
  answer = http.get("/api/plugins.json?@id=store")
  unwell("the monitor on port #{port} answers #{answer.code}") unless answer.code == "200"
  store = JSON.parse(answer.body)["plugins"].find { |plugin| plugin["plugin_id"] == "store" }
  unwell("the monitor on port #{port} knows no plugin store") unless store
  free = store["buffer_available_buffer_space_ratios"]
  unwell("the buffer is full (#{[free, 0].max} % free, #{store["retry_count"]} retries): is Elasticsearch down, or the disk full?") if free && free < FULL_BELOW
rescue SystemCallError, IOError, Net::OpenTimeout, Net::ReadTimeout, Net::ProtocolError, JSON::ParserError => error
  unwell("the monitor on port #{port} does not answer: #{error.message}")
end
