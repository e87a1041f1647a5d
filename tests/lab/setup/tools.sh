#!/bin/bash
# Installs the programs that the lab is made with, where they are missing.
set -euo pipefail
# shellcheck source=tests/lab/setup/common.sh
. "$(dirname "$0")/common.sh"

# program:package
needed=(
    mmdebstrap:mmdebstrap
    systemd-nspawn:systemd-container
    nginx:nginx-light
    apt-ftparchive:apt-utils
    dpkg-deb:dpkg
    rpmbuild:rpm
    createrepo_c:createrepo-c
    gpg:gnupg
    ip:iproute2
    openssl:openssl
    ssh:openssh-client
    tinyproxy:tinyproxy-bin
    xz:xz-utils
    perl:perl-base
    nsenter:util-linux
    flock:util-linux
)
missing=()
for pair in "${needed[@]}"; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
done
[ ${#missing[@]} -gt 0 ] || exit 0

command -v apt-get >/dev/null || die "these are missing, and there is no apt-get: ${missing[*]}"
say "installing ${missing[*]}"
had_nginx=$(command -v nginx || true)
apt-get -qq update
apt-get -qq -y --no-install-recommends install "${missing[@]}" >/dev/null
# The package starts a server on port 80 of this machine; the lab runs its own inside each host's network.
if [ -z "$had_nginx" ] && [ -d /run/systemd/system ]; then
    systemctl disable --now nginx.service >/dev/null 2>&1 || true
fi
