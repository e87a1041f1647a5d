# Sourced by the lab's scripts: where things are.
# shellcheck shell=bash
#
# LAB is the lab folder, shared by all checkouts on this machine: base systems, certificates, hosts. SET is
# the folder in it with the keys, packages and repositories of this checkout's scripts: a checkout that
# changes them gets another set, and takes nothing away from tests that run in a neighbour's.

LAB=${DDINSTALL_LAB:-/var/tmp/ddinstall-lab}
SETUP=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Timestamps in packages are fixed, so that a rebuilt package is the same package.
export LC_ALL=C DEBIAN_FRONTEND=noninteractive SOURCE_DATE_EPOCH=1735689600
umask 022

# One hash over files and folders, named relative to this folder.
inputs() {
    (
        cd "$SETUP" || exit
        find "$@" -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-12
    )
}

SET=${SET:-$LAB/set-$(inputs keys.sh mirror.sh package.sh debs.sh repository.sh repos.sh rpms.sh rpm-repos.sh full.sh ../packages)}
TLS=${TLS:-$LAB/tls-$(inputs tls.sh)}
export LAB SETUP SET TLS

die() {
    echo "lab: $*" >&2
    exit 1
}

say() {
    echo "lab: $*" >&2
}

# Deletes folders, and refuses while something is mounted below: a base system that is being built has
# /proc, /sys and /dev of this machine in it.
discard() {
    local folder
    for folder; do
        [ -e "$folder" ] || continue
        if cut -d ' ' -f 5 /proc/self/mountinfo | grep -qF "$(readlink -f "$folder")/"; then
            die "not deleting $folder: something is still mounted in it"
        fi
        rm -rf --one-file-system "$folder"
    done
}
