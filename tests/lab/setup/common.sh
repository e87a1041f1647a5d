# Sourced by the lab's scripts: where things are, and what is up to date.
# shellcheck shell=bash

LAB=${DDINSTALL_LAB:-/var/tmp/ddinstall-lab}
SETUP=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export LAB SETUP
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
# Timestamps in packages and indexes are fixed, so that a rebuilt package is the same package.
export SOURCE_DATE_EPOCH=1735689600
umask 022

die() {
    echo "lab: $*" >&2
    exit 1
}

say() {
    echo "lab: $*" >&2
}

# One hash over files and folders, named relative to this folder.
inputs() {
    (
        cd "$SETUP" || exit
        find "$@" -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16
    )
}

lab_inputs() {
    inputs . ../packages
}

stamp() {
    cat "$LAB/$1.stamp" 2>/dev/null || echo none
}

# part NAME STAMP COMMAND…: runs the command unless the part already carries this stamp.
part() {
    local name=$1 want=$2
    shift 2
    [ "$(stamp "$name")" != "$want" ] || return 0
    say "building $name"
    rm -f "$LAB/$name.stamp"
    "$@" 9>&- || die "building $name failed"
    echo "$want" > "$LAB/$name.stamp"
}

# "fresh" for a year: certificates are valid for two.
tls_age() {
    if [ -n "$(find "$LAB/tls/server.crt" -mtime -365 2>/dev/null)" ]; then
        echo fresh
    else
        date +%Y
    fi
}
