# Copyright: The ddinstall project
# Licensed under the Apache License 2.0, which may be combined with the GPLv3 of Ansible (see LICENSE)
# SPDX-License-Identifier: Apache-2.0
from __future__ import (absolute_import, division, print_function)
__metaclass__ = type

DOCUMENTATION = r'''
---
module: ddinstall_facts
short_description: Verifies a host with ddinstall, and returns the proof as facts
version_added: 0.1.0
author:
  - The ddinstall project (@ddinstall)
description:
  - Runs C(ddinstall verify), which holds the host against what it was asked to be, and changes nothing.
  - Without O(must_hold), a check that fails does not fail the task.
notes:
  - On a host without ddinstall, the binary of O(source) is borrowed for that moment; nothing stays there.
options:
  source:
    description:
      - Where the controller has ddinstall, as in M(ddinstall.ddinstall.ddinstall).
    type: path
  base_url:
    description:
      - A mirror of the release, for a O(source) that is an C(install.sh).
    type: str
  path:
    description:
      - Where the host has ddinstall.
    type: path
    default: /usr/local/bin/ddinstall
  results:
    description:
      - A folder of the controller that takes the result as C(HOST.json). C(ddinstall report) makes one summary of it.
    type: path
  must_hold:
    description:
      - Fails where the host is not as asked.
    type: bool
    default: false
  settings:
    description:
      - The settings below as one dictionary. Without any, the host is held against what it was asked last.
    type: dict
  set:
    description:
      - Any other setting of the Agent, by file and path.
    type: dict
extends_documentation_fragment:
  - ddinstall.ddinstall.settings
attributes:
  check_mode:
    description: Nothing is ever changed.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
  facts:
    description: Returns the fact C(ddinstall).
    support: full
  platform:
    description: Linux.
    support: full
    platforms: linux
seealso:
  - module: ddinstall.ddinstall.ddinstall
'''

EXAMPLES = r'''
- name: Look at every host, and keep the results for ddinstall report
  ddinstall.ddinstall.ddinstall_facts:
    results: results
  become: true

- name: Go on only where the host is as asked
  ddinstall.ddinstall.ddinstall_facts:
    must_hold: true
  become: true
'''

RETURN = r'''
ansible_facts:
  description: What was found.
  returned: always
  type: dict
  contains:
    ddinstall:
      description: The verification.
      returned: always
      type: dict
      contains:
        holds:
          description: Whether the host is as asked.
          returned: always
          type: bool
        failures:
          description: The checks that failed or could not be read, by name.
          returned: always
          type: list
          elements: str
          sample: ["unit.datadog-fips-proxy", "proxy.ports"]
        verify:
          description: Every check with what was seen.
          returned: when it could be verified
          type: dict
exit_code:
  description: The exit code of ddinstall - 0, or 9 where a check failed.
  returned: always
  type: int
'''
