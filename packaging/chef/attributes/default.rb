# frozen_string_literal: true

# Where the node fetches the binary, and its sha256 (SHA256SUMS of the release). nil: it is there already.
default['ddinstall']['url'] = nil
default['ddinstall']['sha256'] = nil
default['ddinstall']['path'] = '/usr/local/bin/ddinstall'

# Settings without secrets, under the names that `ddinstall settings` prints.
default['ddinstall']['settings'] = {}
