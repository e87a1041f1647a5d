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
