#!/usr/bin/env python3
"""Writes what the collection knows of ddinstall's settings, from `ddinstall settings --format json` on standard input:

    plugins/plugin_utils/settings.py     the argument specification
    plugins/doc_fragments/settings.py    the documentation of the same

script/docs calls it."""
import json
import re
import sys
import textwrap
from pathlib import Path

HEAD = '''\
# Copyright: The ddinstall project
# Licensed under the Apache License 2.0, which may be combined with the GPLv3 of Ansible (see LICENSE)
# SPDX-License-Identifier: Apache-2.0
# Generated from the settings table of ddinstall by script/docs: changes made here are lost.
"""%s"""
from __future__ import (absolute_import, division, print_function)
__metaclass__ = type

'''

TYPES = {'bool': 'bool', 'switch': 'bool', 'on': 'bool', 'seconds': 'int', 'list': 'list'}


def specification(setting):
    spec = {'type': TYPES.get(setting['type'], 'str')}
    if spec['type'] == 'list':
        spec['elements'] = 'str'
    if setting['choices']:
        spec['choices'] = setting['choices']
    if setting['type'] == 'secret':
        spec['no_log'] = True
    elif re.search('key|pass|token|secret', setting['key']):
        # Its name only sounds like a secret.
        spec['no_log'] = False
    return spec


def arguments(spec):
    """The specification as Python, in lines that are not too long."""
    text = ', '.join('%r: %r' % pair for pair in spec.items())
    if len(text) < 110:
        return text
    lines = []
    for name, value in spec.items():
        if isinstance(value, list):
            lines.extend(['%r: [' % name] + ['    %r,' % item for item in value] + ['],'])
        else:
            lines.append('%r: %r,' % (name, value))
    return ''.join('\n        ' + line for line in lines) + '\n    '


def sentence(text):
    """As a plain text of YAML; backticks are Ansible's C(…)."""
    text = re.sub(r'`([^`]*)`', lambda found: 'C(%s)' % found.group(1), text)
    return json.dumps(text, ensure_ascii=False)


def documentation(setting):
    spec = specification(setting)
    lines = ['  %s:' % setting['key'], '    description:', '      - %s' % sentence(setting['doc'])]
    said = []
    if setting['default'] != 'left as it is':
        said.append('Where it is not given: %s.' % setting['default'])
    if setting['since']:
        said.append('Agent %s or later.' % setting['since'])
    if isinstance(setting['with_fips'], dict):
        said.append('Refused together with FIPS, since %s.' % setting['with_fips']['refused'])
    if setting['variables']:
        said.append('The variable %s of the official script.' % setting['variables'][0]
                    if setting['official_script'] else 'The variable %s of ddinstall.' % setting['variables'][0])
    lines.extend('      - %s' % sentence(text) for text in said)
    lines.append('    type: %s' % spec['type'])
    if 'elements' in spec:
        lines.append('    elements: str')
    if 'choices' in spec:
        lines.append('    choices: [%s]' % ', '.join("'%s'" % word for word in spec['choices']))
    return '\n'.join(lines) + '\n'


def main():
    settings = [s for s in json.load(sys.stdin) if s['type'] != 'refused']
    here = Path(__file__).resolve().parent / 'plugins'
    if len(sys.argv) > 1:
        here = Path(sys.argv[1]) / 'plugins'
    rows = ''.join('    %r: {%s},\n' % (s['key'], arguments(specification(s))) for s in settings)
    text = HEAD % 'The settings of ddinstall as an argument specification.' + 'SETTINGS = {\n%s}\n' % rows
    target = here / 'plugin_utils' / 'settings.py'
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding='utf-8')
    body = textwrap.dedent('''\


        class ModuleDocFragment(object):

            DOCUMENTATION = r\'\'\'
        options:
        %s\'\'\'
    ''')
    text = HEAD.rstrip('\n') % 'The settings of ddinstall, documented.' + '\n' + body % ''.join(map(documentation, settings))
    text = text.replace("\n    DOCUMENTATION", "\n    DOCUMENTATION")
    target = here / 'doc_fragments' / 'settings.py'
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding='utf-8')


main()
