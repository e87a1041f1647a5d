# Copyright: The ddinstall project
# Licensed under the Apache License 2.0, which may be combined with the GPLv3 of Ansible (see LICENSE)
# SPDX-License-Identifier: Apache-2.0
"""Runs ddinstall on a host: one command over the connection, with everything that is asked on its standard input."""
from __future__ import (absolute_import, division, print_function)
__metaclass__ = type

import hashlib
import json
import os
import re
import shlex

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.text.converters import to_bytes, to_text
from ansible.plugins.action import ActionBase

from ansible_collections.ddinstall.ddinstall.plugins.plugin_utils.settings import SETTINGS

# Exit codes of the shell around ddinstall, beside ddinstall's own.
NEEDED = 97
NOT_PUT = 98

# How architectures are called in ELF files, and in names of files.
MACHINES = {0x3E: 'x86_64', 0xB7: 'aarch64'}

OPTIONS = {
    'source': {'type': 'path'},
    'base_url': {'type': 'str'},
    'path': {'type': 'path', 'default': '/usr/local/bin/ddinstall'},
    'settings': {'type': 'dict', 'no_log': True},
}

# What a host has in its environment is not what was asked, and would win over what was.
CLEAN = r"unset REPO_URL $(env | sed -n 's/^\(DD_[A-Za-z0-9_]*\)=.*/\1/p; s/^\(TESTING_[A-Za-z0-9_]*\)=.*/\1/p'); "
# Says which binary is wanted ($w) here, and ends where another one is there, or none.
CHECK = (
    'a=$(uname -m); case $a in amd64) a=x86_64;; arm64) a=aarch64;; esac; '
    'w=; case $a in %(sums)s *) ;; esac; g=$(sha256sum %(path)s 2>/dev/null); '
    '[ -n "$w" ] && [ "${g%%%% *}" = "$w" ] || { cat >/dev/null; echo "ddinstall-needed $a"; exit 97; }; '
)
# Where nothing is managed, the program only has to be there.
PRESENT = '[ -x %(path)s ] || { cat >/dev/null; echo "ddinstall-needed -"; exit 97; }; '
# Reads the settings, then a program. read takes byte after byte: what follows the line stays for cat.
STORE = (
    'umask 022; IFS= read -r s; d=$(dirname %(path)s); mkdir -p "$d" && t=$(mktemp "$d/.ddinstall.XXXXXXXX") '
    '|| exit 98; trap \'rm -f "$t"\' EXIT; cat >"$t" && g=$(sha256sum "$t") && [ "${g%%%% *}" = %(sum)s ] '
    '&& chmod 0755 "$t" && mv -f "$t" %(path)s || exit 98; b=%(path)s; '
)
# The same in a folder that goes with the shell: the first one where programs may run.
BORROW = (
    'umask 077; IFS= read -r s; t=; trap \'[ -z "$t" ] || rm -rf "$t"\' EXIT; '
    'for p in /run /var/tmp /tmp "$HOME"; do t=$(mktemp -d "$p/ddinstall.XXXXXXXX" 2>/dev/null) || continue; '
    'printf "#!/bin/sh\\n" >"$t/x" && chmod 700 "$t/x" && "$t/x" 2>/dev/null && break; rm -rf "$t"; t=; done; '
    '[ -n "$t" ] && cat >"$t/ddinstall" && g=$(sha256sum "$t/ddinstall") && [ "${g%%%% *}" = %(sum)s ] '
    '&& chmod 700 "$t/ddinstall" || exit 98; b="$t/ddinstall"; '
)
# The same with the release's install.sh, which fetches and checks the binary for itself.
FETCH = (
    'umask 022; IFS= read -r s; t=$(mktemp -d) || exit 98; trap \'rm -rf "$t"\' EXIT; cat >"$t/install.sh"; '
    'd=%(to)s; mkdir -p "$d" && %(base)s sh "$t/install.sh" --to "$d" -- --version </dev/null >&2 || exit 98; '
    'b="$d/ddinstall"; '
)


class Source:
    """What the controller has: binaries by architecture, or an install.sh that knows their sums."""

    def __init__(self, path):
        self.script = None
        self.files = {}
        self.sums = {}
        if os.path.isdir(path):
            for machine in MACHINES.values():
                name = os.path.join(path, 'ddinstall-' + machine)
                if os.path.isfile(name):
                    self._binary(name, machine)
            if not self.files:
                raise AnsibleActionFail('source: %s holds neither ddinstall-x86_64 nor ddinstall-aarch64' % path)
            return
        try:
            with open(path, 'rb') as file:
                head = file.read(20)
        except OSError as error:
            raise AnsibleActionFail('source: cannot read %s: %s' % (path, error.strerror))
        if head.startswith(b'\x7fELF') and head[18:19]:
            machine = MACHINES.get(head[18] | head[19] << 8)
            if machine is None:
                raise AnsibleActionFail('source: %s is a program of another architecture' % path)
            self._binary(path, machine)
        elif head.startswith(b'#!/bin/sh'):
            self._script(path)
        else:
            raise AnsibleActionFail('source: %s is neither the ddinstall binary nor its install.sh' % path)

    def _binary(self, path, machine):
        self.files[machine] = path
        with open(path, 'rb') as file:
            self.sums[machine] = hashlib.sha256(file.read()).hexdigest()

    def _script(self, path):
        with open(path, 'rb') as file:
            self.script = file.read()
        for line in to_text(self.script, errors='replace').splitlines():
            found = re.match(r"^(?:sums=')?([0-9a-f]{64})  ddinstall-(x86_64|aarch64)'?$", line)
            if found:
                self.sums[found.group(2)] = found.group(1)
        if not self.sums:
            raise AnsibleActionFail('source: %s is not the install.sh of a release' % path)


class RemoteAction(ActionBase):
    """What the action plugins of this collection share."""

    def options(self, specification):
        """The task's options and settings, checked. Empty ones say nothing, as everywhere in ddinstall."""
        given = dict((key, plain(value)) for key, value in self._task.args.items())
        nested = given.get('settings')
        if isinstance(nested, dict):
            known = set(SETTINGS) | set(['set'])
            unknown = sorted(set(nested) - known)
            if unknown:
                raise AnsibleActionFail('settings: %s is not a setting of ddinstall' % ', '.join(unknown))
        elif nested not in (None, ''):
            raise AnsibleActionFail('settings: is no dictionary')
        else:
            nested = {}
        wanted = {}
        for values in (nested, given):
            for key, value in values.items():
                if key == 'settings' or value is None or value == '' or value == []:
                    continue
                if isinstance(value, float):
                    raise AnsibleActionFail('%s: is a number, and text was expected; put it in quotes' % key)
                wanted[key] = value
        spec = dict(SETTINGS, set={'type': 'dict'})
        spec.update(specification)
        checked = ArgumentSpecValidator(spec).validate(wanted)
        if checked.error_messages:
            secret = [text for key, text in wanted.items() if spec.get(key, {}).get('no_log') and key != 'set']
            raise AnsibleActionFail(hidden('; '.join(checked.error_messages), secret))
        values = checked.validated_parameters
        options = dict((key, values.pop(key, None)) for key in specification)
        settings = dict((key, value) for key, value in values.items() if value is not None)
        if settings.get('api_key_file') == '-':
            raise AnsibleActionFail('api_key_file: standard input holds the settings; use api_key')
        self._secrets = [to_text(settings[key]) for key in settings if spec[key].get('no_log') and key in SETTINGS]
        return options, settings

    def ddinstall(self, options, commands, settings, keep):
        """Runs commands of ddinstall in one go; their documents, what the shell said, and the sum of a binary it put there.

        With `keep`, a binary that is missing or another one is put in its place; without, it is gone after this."""
        path = options['path']
        if not path.startswith('/'):
            raise AnsibleActionFail('path: %s is no absolute path' % path)
        line = to_bytes(json.dumps(settings, ensure_ascii=False, sort_keys=True)) + b'\n'
        source = Source(options['source']) if options.get('source') else None
        place = {'path': shlex.quote(path)}
        if source:
            place['sums'] = ' '.join('%s) w=%s;;' % pair for pair in sorted(source.sums.items()))
        begin = (CHECK if source else PRESENT) % place + 'b=%(path)s; ' % place
        if len(commands) == 1:
            # The common case: no copy of what is asked, not even in the shell.
            result = self._stdin(begin + 'exec "$b" %s --file -' % commands[0], line)
        else:
            result = self._stdin(begin + 'IFS= read -r s; ' + each(commands), line)
        put = None
        if result['rc'] == NEEDED and 'ddinstall-needed' in result['stdout']:
            result, put = self._put(options, source, result['stdout'], commands, line, keep)
        return documents(result['stdout']), result, put

    def _put(self, options, source, answer, commands, line, keep):
        machine = answer.split('ddinstall-needed', 1)[1].split()[0]
        path = options['path']
        if source is None:
            raise AnsibleActionFail('there is no ddinstall at %s on this host: name a binary, a folder of them or an '
                                    'install.sh of the controller in `source`' % path)
        if machine not in source.sums:
            raise AnsibleActionFail('source: there is no ddinstall for %s in %s' % (machine, options['source']))
        place = {'path': shlex.quote(path), 'sum': source.sums[machine]}
        if source.script:
            if keep and os.path.basename(path) != 'ddinstall':
                raise AnsibleActionFail('path: install.sh names its binary ddinstall, and path is %s' % path)
            base = options.get('base_url')
            place['base'] = 'DDINSTALL_BASE_URL=%s' % shlex.quote(base) if base else ''
            place['to'] = shlex.quote(os.path.dirname(path)) if keep else '"$t"'
            shell, payload = FETCH % place, source.script
        else:
            with open(source.files[machine], 'rb') as file:
                payload = file.read()
            shell = (STORE if keep else BORROW) % place
        result = self._stdin(shell + each(commands), line + payload)
        if result['rc'] == NOT_PUT:
            raise AnsibleActionFail('ddinstall could not be put on this host: %s' % (said(result) or 'no words'))
        return result, source.sums[machine]

    def _stdin(self, shell, data):
        """Runs a shell text with data on its standard input."""
        shell = CLEAN + shell
        become = self._connection.become
        takes = getattr(self._connection, 'has_pipelining', False)
        if takes and not (become and become.name.split('.')[-1] in ('su', 'ksu', 'machinectl')):
            result = self._low_level_execute_command(shell, in_data=data)
            if 'must have a tty' not in result['stderr']:
                return result
        # Without standard input: through a file in Ansible's own temporary folder, gone before the command ends.
        if not self._connection._shell.tmpdir:
            self._make_tmp_path()
        file = self._connection._shell.join_path(self._connection._shell.tmpdir, 'input')
        self._transfer_data(file, data)
        name = shlex.quote(file)
        return self._low_level_execute_command('exec <%s && rm -f %s || exit 98; %s' % (name, name, shell))

    def finished(self, found, result, command):
        """The document of the last command, as the result of the task; a failure where that did not come to its end."""
        document = found[-1] if found else {}
        code = result['rc']
        if document.get('command') != command or document.get('exit_code') != code:
            # What an installation that was killed has changed, nobody knows.
            changed = command == 'install' and not 0 <= code < 128
            text = hidden(said(result), self._secrets)
            return dict(failed=True, changed=changed, rc=code,
                        msg='ddinstall %s did not come to its end (exit code %s): %s' % (command, code, text or 'no words'))
        answer = dict((key, document[key]) for key in ('changed', 'steps', 'notes', 'verify', 'seconds', 'proof')
                      if key in document)
        answer['exit_code'] = code
        answer['ddinstall'] = document.get('ddinstall')
        error = document.get('error')
        if error:
            answer.update(failed=True, error=error, msg=words(error))
        return answer


def each(commands):
    """Several commands with the same settings, which the shell holds in $s; the last one's exit code counts."""
    return ' '.join('printf "%%s\\n" "$s" | "$b" %s --file -;' % command for command in commands)


def documents(text):
    """The documents of ddinstall in an output that may begin with the words of a login shell, or be cut off."""
    decoder = json.JSONDecoder()
    found, at = [], text.find('{')
    while at >= 0:
        try:
            document, end = decoder.raw_decode(text, at)
            # What is inside one that was cut off has neither.
            if 'format' in document and 'command' in document:
                found.append(document)
        except ValueError:
            end = at + 1
        at = text.find('{', end)
    return found


def words(error):
    """A failure in one message: what failed, its details, the state of the host, what to do."""
    lines = [error.get('what', 'ddinstall failed')] + list(error.get('detail') or [])
    if error.get('state'):
        lines.append('state: ' + error['state'])
    if error.get('hint'):
        lines.append('to do: ' + error['hint'])
    return '\n'.join(lines)


def said(result):
    return ' '.join((result.get('stderr') or result.get('stdout') or '').split())[-2000:]


def hidden(text, secrets):
    for secret in secrets:
        if secret and len(to_text(secret)) > 3:
            text = text.replace(to_text(secret), '********')
    return text


def plain(value):
    """A value of a playbook, whatever class carries it (vault, unsafe, tagged), as JSON has it."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, dict):
        return dict((to_text(key), plain(item)) for key, item in value.items())
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    return ''.join(to_text(value))
