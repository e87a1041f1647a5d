#!/bin/bash
# The read-only base systems: base/SUITE is a link to the current one. A base that is out of date stays
# as long as a host stands on it, so that a lab that is set up anew pulls no floor from under a test.
set -euo pipefail
# shellcheck source=tests/lab/setup/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=tests/lab/setup/rpm-base.sh
. "$SETUP/rpm-base.sh"

suites=(bookworm trixie bullseye el9 sles15)
include=systemd,systemd-sysv,dbus,ca-certificates,procps,iproute2,haproxy,passwd,adduser,perl-base
authority=$(sha256sum < "$TLS/ca.crt" | cut -c1-8)
debian=$(inputs bases.sh)-$authority
rpm=$(inputs bases.sh rpm-base.sh)-$authority
mkdir -p "$LAB/base"

hash_of() {
    case "$1" in
        el9 | sles15) echo "$rpm" ;;
        *) echo "$debian" ;;
    esac
}

finish() {
    local root=$1 unit
    # No network in the hosts: dependencies are in the base, and apt knows of no other source.
    rm -rf "$root/etc/apt/sources.list" "$root"/etc/apt/sources.list.d/* "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin
    : > "$root/etc/apt/sources.list"
    : > "$root/etc/machine-id"
    rm -f "$root/etc/resolv.conf"
    # Nobody answers there, so a name that is not in /etc/hosts fails at once.
    echo "nameserver 127.0.0.1" > "$root/etc/resolv.conf"
    install -m 0644 "$TLS/ca.crt" "$root/usr/local/share/ca-certificates/ddinstall-lab.crt"
    chroot "$root" update-ca-certificates >/dev/null 2>&1
    # haproxy is there for the proxy's package only; the rest would change files behind a test's back.
    # tmp.mount: files in /tmp are to be seen from the outside.
    for unit in haproxy.service systemd-networkd.service systemd-networkd.socket systemd-resolved.service \
        systemd-networkd-wait-online.service tmp.mount apt-daily.timer apt-daily-upgrade.timer \
        dpkg-db-backup.timer fstrim.timer e2scrub_all.timer systemd-tmpfiles-clean.timer; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit"
    done
    rm -f "$root/etc/systemd/system/multi-user.target.wants/haproxy.service"
    # Every reload of systemd runs all generators, and these have nothing to find here: no disks, no console, no boot loader.
    mkdir -p "$root/etc/systemd/system-generators"
    for unit in cryptsetup debug getty gpt-auto hibernate-resume integritysetup rc-local run ssh system-update tpm2 \
        veritysetup; do
        ln -sf /dev/null "$root/etc/systemd/system-generators/systemd-$unit-generator"
    done
}

build() {
    local suite=$1 root packages=$include from=$1
    root=$LAB/base/$1-$(hash_of "$1")
    case "$suite" in
        el9 | sles15)
            from=bookworm
            packages=$(rpm_packages "$suite")
            ;;
    esac
    # What a build that was killed left behind: its mounts go first.
    ! mountpoint -q "$root.new/proc" || umount -R -l "$root.new/proc"
    ! mountpoint -q "$root.new/sys" || umount -R -l "$root.new/sys"
    ! mountpoint -q "$root.new/dev" || umount -R -l "$root.new/dev"
    discard "$root.new"
    say "building the base system $suite"
    mmdebstrap --quiet --variant=minbase --include="$packages" "$from" "$root.new" > "$LAB/base/$suite.log" 2>&1 ||
        die "mmdebstrap $suite failed: $(tail -n 3 "$LAB/base/$suite.log")"
    finish "$root.new"
    [ "$from" = "$suite" ] || become_rpm "$root.new" "$suite"
    mv "$root.new" "$root"
}

wanted=()
for suite in "${suites[@]}"; do
    [ -d "$LAB/base/$suite-$(hash_of "$suite")" ] || wanted+=("$suite")
done
# Two at a time: that is what a small machine gains from.
failed=
for ((i = 0; i < ${#wanted[@]}; i += 2)); do
    pids=()
    for suite in "${wanted[@]:i:2}"; do
        build "$suite" 9>&- &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        wait "$pid" || failed=1
    done
done
[ -z "$failed" ] || exit 1

for suite in "${suites[@]}"; do
    target=$suite-$(hash_of "$suite")
    [ "$(readlink "$LAB/base/$suite" || true)" = "$target" ] || ln -sfn "$target" "$LAB/base/$suite"
done
for old in "$LAB"/base/*-*; do
    case "$old" in
        *-"$debian" | *-"$rpm") continue ;;
    esac
    # Another checkout's current base, for a week.
    [ -n "$(find "$old" -maxdepth 0 -mtime +7)" ] || continue
    grep -qsxF "$old" "$LAB"/hosts/*/base || discard "$old"
done
