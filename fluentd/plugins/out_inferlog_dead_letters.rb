# Fluentd's file output for dead letters, which keeps each of them also while the disk is full.

require "fluent/plugin/out_file"
require_relative "full_disk"

module Fluent
  module Plugin
    class InferlogDeadLettersOutput < FileOutput
      include InferlogFullDisk

      Fluent::Plugin.register_output("inferlog_dead_letters", self)

      # Fluentd looks only among the methods of this class for the ones that format a record and take a chunk.
      def format(tag, time, record)
        super
      end

      def write(chunk)
        super
      end

      # The chunk is written again as a whole.
      def write_without_compression(path, chunk)
        size_bytes = File.size?(path) || 0
        super
      rescue SystemCallError
        File.truncate(path, size_bytes) if File.exist?(path)
        raise
      end

      private

      # The chunk that contains the letter then fails, and is sent again after the next start.
      def give_up(error)
        raise error
      end
    end
  end
end
