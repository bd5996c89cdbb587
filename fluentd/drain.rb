# Waits until Elasticsearch has accepted every line, for volumes that are deleted together with their container, as in a pod.
# Fluentd itself would end with lines that it has not read yet, and with chunks that it has not sent yet.
#
#   ruby --disable-gems drain.rb PID     PID: of Fluentd
#
# Ends when no line remains, Fluentd has ended, or INFERLOG_FLUENTD_DRAIN_SECONDS are over. Writes one JSON line with the
# remaining files, chunks and dead letters; exit code 1 if lines remain.

require "json"

LOG_DIR = ENV["INFERLOG_LOG_DIR"] || "/var/log/inferlog"
STATE = ENV["INFERLOG_FLUENTD_STATE"] || "/fluentd/state"
LIMIT_SECONDS = Float(ENV["INFERLOG_FLUENTD_DRAIN_SECONDS"] || "0")
SECONDS_BETWEEN_CHECKS = 0.2
# Longer than any line of the library.
MAX_LINE_BYTES = 2 << 20
STREAMS = %w[events app health content]
# Path, offset and inode, the last two in hexadecimal. Fluentd may be writing the last line.
POSITION = /\A[^\t]+\t(\h{16})\t(\h{16})$/
# The offset that Fluentd writes for a file that is gone; its inode may belong to a new file.
UNWATCHED = (1 << 64) - 1

def now
  Process.clock_gettime(Process::CLOCK_MONOTONIC)
end

def alive?(pid)
  Process.kill(0, pid)
rescue Errno::ESRCH
  false
end

# Offset of each inode in the position file of one tail of conf.d.
def offsets(stream)
  file = "#{LOG_DIR}/.shipped/fluentd-#{stream}.pos"
  return {} unless File.exist?(file)
  File.readlines(file).filter_map { |line| line.match(POSITION)&.captures }
      .to_h { |offset, inode| [inode.to_i(16), offset.to_i(16)] }
      .reject { |_inode, offset| offset == UNWATCHED }
end

def complete_line_after?(path, offset)
  File.open(path, "rb") do |file|
    file.seek(offset)
    file.gets("\n", MAX_LINE_BYTES)&.end_with?("\n")
  end
end

# The incomplete last line of a killed service does not count: it contains no complete event.
def unread_files
  STREAMS.flat_map do |stream|
    known = offsets(stream)
    Dir.glob("#{LOG_DIR}/#{stream}-*.jsonl").select do |path|
      complete_line_after?(path, known.fetch(File.stat(path).ino, 0))
    rescue Errno::ENOENT
      false # shipped and deleted
    end
  end
end

def unsent_chunks
  Dir.glob("#{STATE}/buffer/{store,dead_letters}/*.log")
end

fluentd = Integer(ARGV.fetch(0))
start = now
# In this order: Fluentd writes a chunk before it moves the offset, so a line is always in at least one of them.
while (unread = unread_files).any? | (unsent = unsent_chunks).any?
  break if !alive?(fluentd) || now - start > LIMIT_SECONDS
  sleep SECONDS_BETWEEN_CHECKS
end

remaining = unread.any? || unsent.any?
letters = Dir.glob("#{STATE}/dead_letters/*").sum { |path| File.size?(path).to_i }
message = remaining ? "not drained: these lines are lost if the volumes end with this container" : "drained"
message += "; dead letters are lost with them" if letters > 0
puts JSON.generate(
  message: message,
  level: remaining || letters > 0 ? "error" : "info",
  seconds: (now - start).round(1),
  unread_files: unread.size,
  unsent_chunks: unsent.size,
  unsent_bytes: unsent.sum { |path| File.size?(path).to_i },
  dead_letter_bytes: letters,
)
exit remaining ? 1 : 0
