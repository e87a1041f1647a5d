#!/bin/bash
# Installs Ruby and rubocop where they are missing: for the tests of the Chef cookbook alone.
set -euo pipefail
# shellcheck source=tests/lab/setup/common.sh
. "$(dirname "$0")/common.sh"

if ! command -v ruby > /dev/null || ! command -v rubocop > /dev/null; then
    exec 8> "$LAB/ruby.lock"
    flock 8
    say "installing ruby and rubocop"
    apt-get -qq update
    apt-get -qq -y --no-install-recommends install ruby rubocop > /dev/null
fi
