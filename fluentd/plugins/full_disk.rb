# For an output whose buffer is on a disk: while the disk is full, its writers wait as they do at the limit of the buffer.
#
# By itself Fluentd waits only at the limit. After any other error of a buffer, and at a stop while it waits, it sends the lines to
# @ERROR, whose buffer is on the same disk, and counts them as read.

require "fluent/plugin/output"

module Fluent
  module Plugin
    module InferlogFullDisk
      # Lines that stay where they are. Fluentd handles each StandardError itself, so this is none.
      class NotTaken < Exception; end

      WITHOUT_ROOM = [Buffer::BufferOverflowError, Errno::ENOSPC, Errno::EDQUOT].freeze
      SECONDS_BETWEEN_TRIES = 1

      def write_guard
        return super unless @buffer_config.overflow_action == :block

        begin
          taken = yield
          @without_room = false
          taken
        rescue *WITHOUT_ROOM => error
          remove_incomplete_lines
          log.warn "no room in the buffer: its writers wait", error: error unless @without_room
          @without_room = true
          give_up(error) if stopped?
          sleep SECONDS_BETWEEN_TRIES
          retry
        end
      end

      # The health check and the heartbeat see a full buffer. Fluentd's own figure compares only with the limit.
      def statistics
        super.tap { |known| known["output"]["buffer_available_buffer_space_ratios"] = 0.0 if @without_room }
      end

      private

      # Fluentd leaves a line that was cut by a full disk in a chunk that has others, and the next would be unreadable.
      def remove_incomplete_lines
        @buffer.stage.values.each do |chunk|
          chunk.synchronize { chunk.rollback if chunk.staged? }
        end
      end
    end
  end
end
