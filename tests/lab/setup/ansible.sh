#!/bin/bash
# Real Ansible from PyPI in an environment of its own in the lab folder; prints the folder of its programs.
#   ansible.sh newest    the newest ansible-core that this machine's python3 takes
#   ansible.sh oldest    the oldest one that the collection is for
#   ansible.sh next      the newest of all, with a newer Python if there is one (exit 77: there is none)
#   ansible.sh lint      newest, with ansible-lint
set -euo pipefail
# shellcheck source=tests/lab/setup/common.sh
. "$(dirname "$0")/common.sh"

python=python3
name=${1:-}
wanted=(ansible-core)
case "${1:-}" in
    newest) ;;
    oldest) wanted=("ansible-core==2.15.13") name=2.15.13 ;;
    lint) wanted+=(ansible-lint) ;;
    next)
        python=
        for at in /usr/bin /usr/local/bin "$HOME"/.pyenv/versions/*/bin; do
            for minor in 12 13 14; do
                [ ! -x "$at/python3.$minor" ] || python=$at/python3.$minor
            done
        done
        [ -n "$python" ] || exit 77
        ;;
    *) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
if ! "$python" -c 'import venv, ensurepip' 2> /dev/null; then
    say "installing python3-venv"
    apt-get -qq update
    apt-get -qq -y --no-install-recommends install python3-venv > /dev/null
fi
home=$LAB/ansible/$name-$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
mkdir -p "$LAB/ansible"
exec 8> "$LAB/ansible/lock"
flock 8
# A week is new enough.
if [ -z "$(find "$home/ready" -mtime -7 2> /dev/null)" ]; then
    say "installing ${wanted[*]}"
    discard "$home"
    "$python" -m venv "$home" >&2
    "$home/bin/python" -m pip -q --disable-pip-version-check install "${wanted[@]}" >&2 8>&- ||
        die "there is no ${wanted[*]} to be had"
    touch "$home/ready"
fi
echo "$home/bin"
