#!/bin/bash
# Builds the stand-in packages from tests/lab/packages into DEBS, one file a version.
set -euo pipefail
# shellcheck source=tests/lab/setup/common.sh
. "$(dirname "$0")/common.sh"

# shellcheck source=tests/lab/setup/package.sh
. "$SETUP/package.sh"
rm -rf "$DEBS"
mkdir -p "$DEBS"

# fips_proxy VERSION
fips_proxy() {
    local root=$WORK/fips
    mkdir -p "$root/opt/datadog-fips-proxy/embedded/sbin" "$root/etc/datadog-fips-proxy" "$root/lib/systemd/system"
    sed "s/@VERSION@/$1/" "$FROM/fips-proxy/datadog-fips-proxy.cfg.example" > "$root/etc/datadog-fips-proxy/datadog-fips-proxy.cfg.example"
    cp "$FROM/fips-proxy/datadog-fips-proxy.service" "$root/lib/systemd/system/"
    control "$root" datadog-fips-proxy "$1-1" haproxy "Datadog FIPS proxy $1 (a stand-in for tests)"
    install -m 0755 "$FROM/fips-proxy/"{postinst,prerm,postrm} "$root/DEBIAN/"
    build "$root" "datadog-fips-proxy_$1-1_amd64.deb"
}

signing_keys() {
    local root=$WORK/keys id policies keyrings
    id=$(sed -n 's/^signing=.*\(.\{16\}\)$/\1/p' "$SET/keys/fingerprints.env")
    policies=$root/etc/debsig/policies/$id
    keyrings=$root/usr/share/debsig/keyrings/$id
    mkdir -p "$root/usr/share/datadog-signing-keys" "$policies" "$keyrings"
    cp "$SET/keys/keyring.gpg" "$root/usr/share/datadog-signing-keys/keyring.gpg"
    cp "$SET/keys/keyring.gpg" "$keyrings/keyring.gpg"
    sed "s/@ID@/$id/" "$FROM/signing-keys/datadog.pol" > "$policies/datadog.pol"
    control "$root" datadog-signing-keys "1:$1-1" "" "Signing keys of the packages (a stand-in for tests)"
    install -m 0755 "$FROM/signing-keys/"{postinst,postrm} "$root/DEBIAN/"
    build "$root" "datadog-signing-keys_$1-1_amd64.deb"
}

agent 7.40.1 classic
agent 7.44.1 classic
agent 7.58.2 classic
agent 7.59.0~rc.5 classic
agent 7.59.0 classic
agent 7.78.1 new
agent 7.58.3 classic crash
agent 7.58.3 classic postinst
fips_proxy 1.1.10
fips_proxy 1.1.14
signing_keys 1.4.0

# Debian's SysV init, for hosts where systemd is not process 1; from the machine's own mirror, checked by its apt.
sysv() {
    local at=$WORK/sysv
    mkdir -p "$at"
    (
        cd "$at"
        apt-get -qq -o APT::Sandbox::User=root download sysvinit-core sysv-rc ||
            { apt-get -qq update && apt-get -qq -o APT::Sandbox::User=root download sysvinit-core sysv-rc; }
        for deb in *.deb; do dpkg-deb -x "$deb" tree; done
    )
    rm -rf "$SET/sysv"
    mkdir -p "$SET/sysv/usr/sbin" "$SET/sysv/usr/lib/init" "$SET/sysv/etc/init.d"
    cp "$at/tree/sbin/init" "$at/tree/sbin/runlevel" "$SET/sysv/usr/sbin/"
    cp "$at/tree/lib/init/rc" "$SET/sysv/usr/lib/init/rc"
    ln -s /lib/init/rc "$SET/sysv/etc/init.d/rc"
    printf '%s\n' 'id:2:initdefault:' 'l2:2:wait:/etc/init.d/rc 2' 'up:2:once:/bin/touch /run/lab-up' > "$SET/sysv/etc/inittab"
}
sysv
