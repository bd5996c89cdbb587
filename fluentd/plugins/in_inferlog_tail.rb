# Fluentd's tail, which also keeps its position if it is stopped while the buffer or its disk is full.

require "fluent/plugin/in_tail"
require_relative "full_disk"

module Fluent
  module Plugin
    class InferlogTailInput < TailInput
      Fluent::Plugin.register_input("inferlog_tail", self)

      # False: not taken, to be read again.
      def receive_lines(lines, tail_watcher)
        super
      rescue InferlogFullDisk::NotTaken
        false
      end
    end
  end
end
