# frozen_string_literal: true

# Runs an action of the resource under the stand-in, and prints what came of it as JSON:
#   ruby run.rb ACTION [why-run] < PROPERTIES      (JSON: path, settings, api_key, …)
require 'json'
require_relative 'stand_in'
require_relative '../libraries/runner'

resource = StandIn.load(File.expand_path('../resources/ddinstall.rb', __dir__))
properties = JSON.parse($stdin.read).transform_keys(&:to_sym)
begin
  ours = resource.new(**properties)
  done = ours.run_action(ARGV.fetch(0).to_sym, why_run: ARGV[1] == 'why-run')
  puts JSON.generate(updated: done.updated, said: done.said, resource: ours.to_text)
rescue DdinstallCookbook::Failed => e
  puts JSON.generate(failed: e.message, resource: ours.to_text)
end
