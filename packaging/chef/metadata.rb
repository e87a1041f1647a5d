# frozen_string_literal: true

name 'ddinstall'
maintainer 'The ddinstall project'
license 'Apache-2.0'
description 'Makes a node FIPS and CWS with the Datadog Agent, and proves it'
version '0.1.0'
chef_version '>= 15.3'
supports 'debian'
supports 'ubuntu'
supports 'redhat'
supports 'centos'
supports 'amazon'
supports 'suse'
