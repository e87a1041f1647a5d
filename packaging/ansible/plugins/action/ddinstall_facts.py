# Copyright: The ddinstall project
# Licensed under the Apache License 2.0, which may be combined with the GPLv3 of Ansible (see LICENSE)
# SPDX-License-Identifier: Apache-2.0
"""Verifies a host with `ddinstall verify`, and leaves nothing on it."""
from __future__ import (absolute_import, division, print_function)
__metaclass__ = type

import json
import os
import tempfile

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.text.converters import to_bytes

from ansible_collections.ddinstall.ddinstall.plugins.plugin_utils.remote import OPTIONS, RemoteAction

SPECIFICATION = dict(OPTIONS, results={'type': 'path'}, must_hold={'type': 'bool', 'default': False})


class ActionModule(RemoteAction):

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        result = super(ActionModule, self).run(tmp, task_vars)
        try:
            options, settings = self.options(SPECIFICATION)
            found, raw, dummy = self.ddinstall(options, ['verify --format json'], settings, keep=False)
            answer = self.finished(found, raw, 'verify')
            if 'rc' in answer:
                # It did not come to its end.
                result.update(answer)
                return result
            document = found[-1]
            if options['results']:
                write(options['results'], self._task_host(task_vars), document)
            failed = [check.get('id') for check in (document.get('verify') or {}).get('checks') or []
                      if check.get('status') not in ('pass', 'skipped', 'warn')]
            facts = dict(answer, failures=failed, holds=document.get('exit_code') == 0)
            for key in ('failed', 'msg', 'changed'):
                facts.pop(key, None)
            result.update(changed=False, ansible_facts={'ddinstall': facts}, exit_code=answer['exit_code'])
            if answer.get('failed') or (options['must_hold'] and not facts['holds']):
                result.update(failed=True, msg=answer.get('msg') or 'not as asked: %s' % ', '.join(failed))
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    @staticmethod
    def _task_host(task_vars):
        return (task_vars or {}).get('inventory_hostname', 'host')


def write(folder, host, document):
    """Puts a host's result into a folder of the controller, by rename, for `ddinstall report`."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        name = ''.join(c if c.isalnum() or c in '._-' else '_' for c in host).lstrip('.') or 'host'
        handle, scratch = tempfile.mkstemp(prefix='.', dir=folder)
        with os.fdopen(handle, 'wb') as file:
            file.write(to_bytes(json.dumps(document)) + b'\n')
        os.rename(scratch, os.path.join(folder, name + '.json'))
    except OSError as error:
        raise AnsibleActionFail('results: cannot write into %s: %s' % (folder, error.strerror))
