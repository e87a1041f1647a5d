# frozen_string_literal: true

# An example: the key comes from node.run_state, where a wrapper cookbook puts it out of a vault.
ours = node['ddinstall']

remote_file ours['path'] do
  source ours['url']
  checksum ours['sha256']
  owner 'root'
  group 'root'
  mode '0755'
  only_if { ours['url'] }
end

ddinstall 'FIPS and CWS' do
  path ours['path']
  settings ours['settings'].to_h
  api_key node.run_state.dig('ddinstall', 'api_key')
end
