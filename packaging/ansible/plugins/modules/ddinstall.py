# Copyright: The ddinstall project
# Licensed under the Apache License 2.0, which may be combined with the GPLv3 of Ansible (see LICENSE)
# SPDX-License-Identifier: Apache-2.0
from __future__ import (absolute_import, division, print_function)
__metaclass__ = type

DOCUMENTATION = r'''
---
module: ddinstall
short_description: Makes a host FIPS and CWS with the Datadog Agent, and proves it
version_added: 0.1.0
author:
  - The ddinstall project (@ddinstall)
description:
  - Installs the Datadog Agent, its FIPS proxy and Cloud Workload Security from the vendor's signed repository,
    configures and starts them, and proves that the host is what was asked for. A second run changes nothing.
  - Runs one command on the host, C(ddinstall install), or C(ddinstall plan) in check mode. Everything that is asked
    goes to its standard input - no argument, no file and no log of the host holds a key.
  - An option that is not given, or that a template renders to nothing, leaves the host as it is.
  - The host needs no Python. It needs a shell, root (C(become)), and C(sha256sum) where O(source) is given.
notes:
  - Works with every connection that takes standard input, such as C(ssh) and C(local). Where it cannot be used
    (C(paramiko), C(become_method=su), C(requiretty) of sudo), the settings go through a file in Ansible's own temporary
    folder, which is removed before the command starts.
  - Check mode on a host without ddinstall borrows the binary of O(source) for that moment, and leaves nothing there.
  - Settings have the names that they have in C(ddinstall --file).
options:
  source:
    description:
      - Where the controller has ddinstall. The binary; or a folder that holds C(ddinstall-x86_64) and
        C(ddinstall-aarch64); or the C(install.sh) of a release, with which each host fetches and checks it for itself.
      - It is put at O(path) where the host has none, or another one (by sha256).
      - Where it is not given, ddinstall must be at O(path) already.
    type: path
  base_url:
    description:
      - A mirror of the release, for a O(source) that is an C(install.sh). It must begin with C(https://).
    type: str
  path:
    description:
      - Where the host has ddinstall, or is to have it.
    type: path
    default: /usr/local/bin/ddinstall
  settings:
    description:
      - The settings below as one dictionary, for roles. A setting that stands beside it wins.
    type: dict
  set:
    description:
      - Any other setting of the Agent, by file (C(datadog), C(system-probe), C(security-agent)) and path.
    type: dict
extends_documentation_fragment:
  - ddinstall.ddinstall.settings
attributes:
  check_mode:
    description: Runs C(ddinstall plan), which writes nothing. That ddinstall would be put at O(path) is a change, too.
    support: full
  diff_mode:
    description: Shows each file's change as a unified diff, without secrets.
    support: full
  platform:
    description: Linux.
    support: full
    platforms: linux
seealso:
  - module: ddinstall.ddinstall.ddinstall_facts
'''

EXAMPLES = r'''
- name: FIPS and CWS
  ddinstall.ddinstall.ddinstall:
    source: files/ddinstall
    api_key: "{{ datadog_api_key }}"
    site: ddog-gov.com
    fips_mode: true
    runtime_security_config_enabled: true
  become: true

- name: Each host fetches ddinstall from a mirror, checked against the sums in install.sh
  ddinstall.ddinstall.ddinstall:
    source: files/install.sh
    base_url: https://mirror.example.org/ddinstall
    apt_url: https://mirror.example.org/apt
    yum_url: https://mirror.example.org/yum
    keys_url: https://mirror.example.org/keys
    api_key: ENC[datadog_api_key]
    fips_mode: true
    tags: ["team:infra", "tier:{{ tier }}"]
    set:
      datadog:
        logs_config.batch_wait: 5
  become: true
'''

RETURN = r'''
binary:
  description: Where ddinstall was put, or would be put in check mode.
  returned: when none was there, or another one
  type: str
  sample: /usr/local/bin/ddinstall
steps:
  description: What was done, or would be done, step by step.
  returned: always
  type: list
  elements: dict
  sample:
    - kind: file
      what: write /etc/datadog-agent/datadog.yaml
      details: ["fips.enabled: true"]
      seconds: 0.003
notes:
  description: What is worth knowing.
  returned: always
  type: list
  elements: str
verify:
  description: The proof - every check with what was seen. C(checks), C(status), C(host) and C(at).
  returned: when the host was changed or was as asked for
  type: dict
error:
  description: On failure - its kind, what failed, details, the state of the host and what to do.
  returned: failure
  type: dict
  sample:
    kind: prerequisite
    what: port 9804 is taken by perl (process 812)
    state: nothing was changed
    hint: stop it, then run again
    exit_code: 4
exit_code:
  description: The exit code of ddinstall.
  returned: always
  type: int
ddinstall:
  description: The version of ddinstall.
  returned: always
  type: str
'''
