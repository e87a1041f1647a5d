# frozen_string_literal: true

unified_mode true
resource_name :ddinstall
provides :ddinstall

description 'Makes a node FIPS and CWS with the Datadog Agent, and proves it.'

property :path, String, default: '/usr/local/bin/ddinstall',
                        description: 'Where ddinstall is. The recipe puts it there.'
property :settings, Hash, default: {},
                          description: 'Settings without secrets, under the names of `ddinstall settings`.'
property :api_key, [String, nil], sensitive: true, description: 'The API key, or an ENC[…] handle.'
property :app_key, [String, nil], sensitive: true, description: 'The application key, or an ENC[…] handle.'
property :secrets, Hash, default: {}, sensitive: true,
                         description: 'Further settings that are secret, such as a mirror with a password.'

default_action :install

action_class do
  def runner
    keys = { 'api_key' => new_resource.api_key, 'app_key' => new_resource.app_key }
    asked = new_resource.settings.merge(new_resource.secrets).transform_keys(&:to_s)
    DdinstallCookbook::Runner.new(new_resource.path, asked.merge(keys.compact))
  end
end

action :install do
  description 'Brings the node to the described state. Does nothing where it is there.'
  ddinstall = runner
  if whyrun_mode? && !ddinstall.there?
    # It would have been put there by now.
    converge_by("run #{new_resource.path}, which is not there yet: what it would change is not known")
  else
    steps = ddinstall.pending
    converge_by(steps) { ddinstall.install } unless steps.empty?
  end
end

action :verify do
  description 'Fails where the node is not what it was asked to be. Changes nothing.'
  failures = runner.failures
  raise DdinstallCookbook::Failed, "not as asked:\n#{failures.join("\n")}" unless failures.empty?
end
