# Copyright: The ddinstall project
# Licensed under the Apache License 2.0, which may be combined with the GPLv3 of Ansible (see LICENSE)
# SPDX-License-Identifier: Apache-2.0
"""Brings a host to the described state: `ddinstall plan` in check mode, `ddinstall install` else."""
from __future__ import (absolute_import, division, print_function)
__metaclass__ = type

from ansible_collections.ddinstall.ddinstall.plugins.plugin_utils.remote import OPTIONS, RemoteAction


class ActionModule(RemoteAction):

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        result = super(ActionModule, self).run(tmp, task_vars)
        try:
            options, settings = self.options(OPTIONS)
            plan = 'plan --diff --format json'
            install = 'install --format json'
            if self._task.check_mode:
                commands = [plan]
            elif self._task.diff:
                commands = [plan, install]
            else:
                commands = [install]
            found, raw, put = self.ddinstall(options, commands, settings, keep=not self._task.check_mode)
            result.update(self.finished(found, raw, commands[-1].split()[0]))
            changes = []
            if put:
                result['binary'] = options['path']
                result['changed'] = True
                changes.append('# put ddinstall at %s (sha256 %s)\n' % (options['path'], put))
            if self._task.diff:
                planned = [document for document in found if document['command'] == 'plan']
                changes.extend(prepared(step) for document in planned for step in document.get('steps') or [])
                result['diff'] = [{'prepared': change} for change in changes]
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result


def prepared(step):
    """What a step would do: the change of its file, or words where it changes none that is known yet."""
    lines = [step.get('what', '')]
    if step.get('diff'):
        return '# %s\n%s' % (lines[0], step['diff'])
    lines.extend(step.get('details') or [])
    return ''.join('# %s\n' % line for line in lines)
