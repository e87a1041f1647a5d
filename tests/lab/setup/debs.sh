#!/bin/bash
# Builds the stand-in packages from tests/lab/packages into DEBS, one file a version.
set -euo pipefail
# shellcheck source=tests/lab/setup/common.sh
. "$(dirname "$0")/common.sh"

from=$(cd "$SETUP/../packages" && pwd)
debs=$LAB/debs
rm -rf "$debs"
mkdir -p "$debs"
work=$(mktemp -d "$LAB/build.XXXXXX")
trap 'rm -rf "$work"' EXIT

# control ROOT PACKAGE VERSION DEPENDS DESCRIPTION
control() {
    mkdir -p "$1/DEBIAN"
    cat > "$1/DEBIAN/control" <<CONTROL
Package: $2
Version: $3
Architecture: amd64
Maintainer: The ddinstall test lab <lab@lab.test>
Section: utils
Priority: extra
Installed-Size: $(du -sk "$1" | cut -f1)
${4:+Depends: $4
}Description: $5
 This package is made by the test lab of ddinstall. It has the names, files, owners and
 services of the vendor's package, and none of its programs.
CONTROL
}

# build ROOT FILE
build() {
    find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group -Zgzip -z6 -b "$1" "$debs/$2" >/dev/null
    rm -rf "$1"
}

# agent UPSTREAM LAYOUT [crash|postinst]
agent() {
    local upstream=$1 layout=$2 fault=${3:-} root=$work/agent name check
    local opt=$root/opt/datadog-agent etc=$root/etc/datadog-agent
    mkdir -p "$opt/bin/agent" "$opt/embedded/bin" "$opt/embedded/lib" "$opt/run" "$root/usr/bin" "$root/lib/systemd/system" \
        "$root/var/log/datadog" "$etc/compliance.d" "$etc/runtime-security.d" "$etc/selinux" "$root/DEBIAN"
    sed "s/@VERSION@/$upstream/" "$from/agent/bin/agent" > "$opt/bin/agent/agent"
    if [ "$fault" = crash ]; then
        sed -i 's/^    # CRASH$/    select undef, undef, undef, 0.5; print STDERR "panic: runtime error: this version crashes\\n"; exit 1;/' "$opt/bin/agent/agent"
    fi
    for name in trace-agent process-agent security-agent system-probe; do
        sed "s/@VERSION@/$upstream/" "$from/agent/bin/satellite" > "$opt/embedded/bin/$name"
    done
    cp "$from/agent/bin/config.pl" "$opt/embedded/lib/config.pl"
    chmod 0755 "$opt/bin/agent/agent" "$opt/embedded/bin/"*
    ln -s /opt/datadog-agent/bin/agent/agent "$root/usr/bin/datadog-agent"
    cp "$from/agent/units/"*.service "$root/lib/systemd/system/"

    perl "$from/agent/examples/bulk.pl" > "$work/bulk.settings"
    perl "$from/agent/examples/render.pl" "$layout" "$from/agent/examples/datadog.settings" "$work/bulk.settings" > "$etc/datadog.yaml.example"
    for name in system-probe security-agent; do
        perl "$from/agent/examples/render.pl" "$layout" "$from/agent/examples/$name.settings" > "$etc/$name.yaml.example"
    done
    cp "$from/agent/default.policy" "$etc/runtime-security.d/default.policy"
    echo "# A stand-in for a benchmark." > "$etc/compliance.d/cis-docker.yaml"
    for check in cpu disk load memory network uptime; do
        mkdir -p "$etc/conf.d/$check.d"
        printf 'init_config:\n\ninstances:\n  - {}\n' > "$etc/conf.d/$check.d/conf.yaml.default"
    done

    control "$root" datadog-agent "1:$upstream-1" "" "Datadog Monitoring Agent $upstream (a stand-in for tests)"
    sed -i "s/^Section:/Recommends: datadog-signing-keys (>= 1:1.3.1)\nSection:/" "$root/DEBIAN/control"
    install -m 0755 "$from/agent/"{postinst,prerm,postrm} "$root/DEBIAN/"
    if [ "$fault" = postinst ]; then
        sed -i 's/^# FAIL$/echo "datadog-agent: cannot run post-install hook" >\&2; exit 1/' "$root/DEBIAN/postinst"
    fi
    build "$root" "datadog-agent_$upstream-1_amd64${fault:+.$fault}.deb"
}

# fips_proxy VERSION
fips_proxy() {
    local root=$work/fips
    mkdir -p "$root/opt/datadog-fips-proxy/embedded/sbin" "$root/etc/datadog-fips-proxy" "$root/lib/systemd/system"
    sed "s/@VERSION@/$1/" "$from/fips-proxy/datadog-fips-proxy.cfg.example" > "$root/etc/datadog-fips-proxy/datadog-fips-proxy.cfg.example"
    cp "$from/fips-proxy/datadog-fips-proxy.service" "$root/lib/systemd/system/"
    control "$root" datadog-fips-proxy "$1-1" haproxy "Datadog FIPS proxy $1 (a stand-in for tests)"
    install -m 0755 "$from/fips-proxy/"{postinst,prerm,postrm} "$root/DEBIAN/"
    build "$root" "datadog-fips-proxy_$1-1_amd64.deb"
}

signing_keys() {
    local root=$work/keys id policies keyrings
    id=$(sed -n 's/^signing=.*\(.\{16\}\)$/\1/p' "$LAB/keys/fingerprints.env")
    policies=$root/etc/debsig/policies/$id
    keyrings=$root/usr/share/debsig/keyrings/$id
    mkdir -p "$root/usr/share/datadog-signing-keys" "$policies" "$keyrings"
    cp "$LAB/keys/keyring.gpg" "$root/usr/share/datadog-signing-keys/keyring.gpg"
    cp "$LAB/keys/keyring.gpg" "$keyrings/keyring.gpg"
    sed "s/@ID@/$id/" "$from/signing-keys/datadog.pol" > "$policies/datadog.pol"
    control "$root" datadog-signing-keys "1:$1-1" "" "Signing keys of the packages (a stand-in for tests)"
    install -m 0755 "$from/signing-keys/"{postinst,postrm} "$root/DEBIAN/"
    build "$root" "datadog-signing-keys_$1-1_amd64.deb"
}

agent 7.40.1 classic
agent 7.44.1 classic
agent 7.58.2 classic
agent 7.78.1 new
agent 7.58.3 classic crash
agent 7.58.3 classic postinst
fips_proxy 1.1.10
fips_proxy 1.1.14
signing_keys 1.4.0
