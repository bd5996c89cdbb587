# Waits until Elasticsearch has accepted every line, for volumes that are deleted together with their container, as in a pod.
# Fluentd itself would end with lines that it has not read yet, and with chunks that it has not sent yet.
#
#   ruby --disable-gems drain.rb PID     PID: of Fluentd
#
# Ends when no line is left, Fluentd has ended, or INFERLOG_FLUENTD_DRAIN_SECONDS are over. Writes one JSON line with what is
# left; exit code 1 if anything is.

require "json"

LOG_DIR = ENV["INFERLOG_LOG_DIR"] || "/var/log/inferlog"
STATE = ENV["INFERLOG_FLUENTD_STATE"] || "/fluentd/state"
LIMIT_SECONDS = Float(ENV["INFERLOG_FLUENTD_DRAIN_SECONDS"] || "0")
SECONDS_BETWEEN_CHECKS = 0.2
# Longer than any line: what has no end by then is not a complete line.
MAX_LINE_BYTES = 2 << 20

def now
  Process.clock_gettime(Process::CLOCK_MONOTONIC)
end

def alive?(pid)
  Process.kill(0, pid)
rescue Errno::ESRCH
  false
end

# Offset of each inode, from the position files of the tails in conf.d: path, offset and inode, the last two in hexadecimal.
def offsets
  Dir.glob("#{LOG_DIR}/.shipped/fluentd-*.pos").flat_map { |file| File.readlines(file) }.to_h do |line|
    _path, offset, inode = line.split("\t")
    [inode.to_i(16), offset.to_i(16)]
  end
end

def complete_line_after?(path, offset)
  File.open(path, "rb") do |file|
    file.seek(offset)
    file.gets("\n", MAX_LINE_BYTES)&.end_with?("\n")
  end
end

# An incomplete last line, of a service that was killed, does not count: no event is complete in it.
def unread_files
  known = offsets
  Dir.glob("#{LOG_DIR}/{events,app,health,content}-*.jsonl").select do |path|
    complete_line_after?(path, known.fetch(File.stat(path).ino, 0))
  rescue Errno::ENOENT
    false # shipped and deleted
  end
end

def unsent_chunks
  Dir.glob("#{STATE}/buffer/{store,dead_letters}/*.log")
end

fluentd = Integer(ARGV.fetch(0))
start = now
# In this order: Fluentd writes a chunk before it moves the offset, so a line is never in neither of them.
while (unread = unread_files).any? | (unsent = unsent_chunks).any?
  break if !alive?(fluentd) || now - start > LIMIT_SECONDS
  sleep SECONDS_BETWEEN_CHECKS
end

left = unread.any? || unsent.any?
puts JSON.generate(
  message: left ? "not drained: these lines are lost if the volumes end with this container" : "drained",
  level: left ? "error" : "info",
  seconds: (now - start).round(1),
  unread_files: unread.size,
  unsent_chunks: unsent.size,
  unsent_bytes: unsent.sum { |path| File.size?(path).to_i },
)
exit left ? 1 : 0
