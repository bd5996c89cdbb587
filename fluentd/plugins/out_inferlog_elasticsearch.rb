# Elasticsearch's output with an API key that may be replaced at any time: fluent-plugin-elasticsearch reads its own key once,
# so that after a rotation every request would be refused until a restart. Its writers wait also while the disk is full.

require "fluent/plugin/out_elasticsearch"
require_relative "full_disk"

module Fluent
  module Plugin
    class InferlogElasticsearchOutput < ElasticsearchOutput
      include InferlogFullDisk

      Fluent::Plugin.register_output("inferlog_elasticsearch", self)

      # File with the key as id:key, as the plugin's own api_key takes it.
      config_param :api_key_file, :string, default: nil

      # A missing file ends Fluentd at its start.
      def configure(conf)
        super
        take_key if @api_key_file
      end

      # Fluentd looks only among the methods of this class for the one that takes a chunk.
      def write(chunk)
        super
      end

      # The plugin takes its client from here for each request.
      def client(host = nil, compress_connection = false)
        take_key if @api_key_file
        super
      end

      private

      def give_up(_error)
        raise NotTaken
      end

      def take_key
        key = File.read(@api_key_file).strip
        return if key == @api_key

        @api_key = key
        @api_key_header = setup_api_key
        # The connection sends the key that it began with.
        @_es = nil
      end
    end
  end
end
