#!/bin/bash
# Sets the lab up: tools, certificates, signing keys, stand-in packages, repositories, base systems.
# Idempotent: each part lies in a folder named after the hash of the scripts that made it, and is there or
# is built. Safe to call from several processes at once.
set -euo pipefail
# shellcheck source=tests/lab/setup/common.sh
. "$(dirname "$0")/setup/common.sh"

[ "$(id -u)" -eq 0 ] || die "the lab boots systems in name spaces of their own: run it as root"
mkdir -p "$LAB/hosts"
chmod 0755 "$LAB"
exec 9> "$LAB/lock"
flock 9

"$SETUP/tools.sh" 9>&-

# Certificates are valid for two years; after one there are new ones, and bases that trust them.
if [ -z "$(find "$TLS/ready" -mtime -365 2>/dev/null)" ]; then
    say "building the certificates"
    discard "$TLS"
    "$SETUP/tls.sh"
    touch "$TLS/ready"
fi

if [ ! -e "$SET/ready" ]; then
    say "building the keys, packages and repositories"
    discard "$SET"
    mkdir -p "$SET"
    for part in keys mirror debs repos rpms rpm-repos; do
        "$SETUP/$part.sh" 9>&- || die "building the $part failed"
    done
    touch "$SET/ready"
fi
# A set that is in use is as young as its last setup.
touch "$SET"
if [ "${1:-}" = --full ] && [ ! -e "$SET/full" ]; then
    say "building the full-size package"
    "$SETUP/full.sh" 9>&- || die "building the full-size package failed"
    touch "$SET/full"
fi

"$SETUP/bases.sh"
"$SETUP/layers.sh"

# Other checkouts' sets go a week after their last setup, if no host uses them.
find "$LAB" -maxdepth 1 -name 'set-*' -mtime +7 | while read -r old; do
    grep -qsxF "$old" "$LAB"/hosts/*/set || discard "$old"
done
