#!/bin/bash
# Programs that the base systems lack, as layers that a host may be given over its base: layers/NAME-SUITE is a link to
# the current one. The packages are the distribution's, unpacked with what they need, and not configured.
#   tools    what people fetch files and become root with
#   cloud    cloud-init and curl, for bookworm alone
#   ssh      an ssh server and sudo, for hosts that are reached from outside
set -euo pipefail
# shellcheck source=tests/lab/setup/common.sh
. "$(dirname "$0")/common.sh"

hash=$(inputs layers.sh)
mkdir -p "$LAB/layers"
work=$(mktemp -d "$LAB/layers/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

# unpack NAME SUITE PACKAGES: into $work/NAME-SUITE
unpack() {
    local to=$work/$1-$2 top
    mmdebstrap --quiet --variant=extract --include="$3" "$2" "$to" > "$work/$1-$2.log" 2>&1 ||
        die "mmdebstrap $2 failed: $(tail -n 3 "$work/$1-$2.log")"
    rm -rf "${to:?}"/{dev,tmp,run,etc/apt,var/lib/apt,var/lib/dpkg,var/cache,usr/share/doc,usr/share/man,usr/share/locale}
    for top in bin sbin lib lib64; do
        if [ -d "$to/$top" ] && [ ! -L "$to/$top" ]; then
            mkdir -p "$to/usr/$top"
            cp -a "$to/$top/." "$to/usr/$top/"
            rm -rf "${to:?}/$top"
        fi
    done
}

# finish NAME SUITE FROM: what the base has already stays the base's
finish() {
    local to=$LAB/layers/$1-$2-$hash base=$LAB/base/$2 file
    discard "$to.new"
    cp -a "$work/$1-$3" "$to.new"
    while IFS= read -r -d '' file; do
        if [ -e "$base/$file" ] || [ -L "$base/$file" ]; then printf '%s\0' "$to.new/$file"; fi
    done < <(cd "$to.new" && find . \( -type f -o -type l \) -print0) | xargs -0 -r rm
    find "$to.new" -mindepth 1 -depth -type d -empty -delete
    mv "$to.new" "$to"
}

# layer NAME PACKAGES FROM SUITE…: one that is there already is not built again
layer() {
    local name=$1 packages=$2 from=$3 suite wanted=()
    shift 3
    for suite; do
        [ -d "$LAB/layers/$name-$suite-$hash" ] || wanted+=("$suite")
    done
    [ ${#wanted[@]} -gt 0 ] || return 0
    say "building the layer $name of $from"
    unpack "$name" "$from" "$packages"
    for suite in "${wanted[@]}"; do finish "$name" "$suite" "$from"; done
}

tools=curl,wget,busybox,sudo
pids=()
layer tools "$tools" bullseye bullseye 9>&- &
pids+=($!)
layer tools "$tools,opendoas" trixie trixie 9>&- &
pids+=($!)
for pid in "${pids[@]}"; do wait "$pid"; done
pids=()
layer tools "$tools,opendoas" bookworm bookworm el9 sles15 9>&- &
pids+=($!)
layer cloud cloud-init,curl bookworm bookworm 9>&- &
pids+=($!)
layer ssh openssh-server,sudo bookworm bookworm el9 sles15 9>&- &
pids+=($!)
layer ssh openssh-server,sudo trixie trixie 9>&- &
pids+=($!)
for pid in "${pids[@]}"; do wait "$pid"; done

for made in "$LAB"/layers/*-"$hash"; do
    [ "$(readlink "${made%-"$hash"}" || true)" = "$(basename "$made")" ] || ln -sfn "$(basename "$made")" "${made%-"$hash"}"
done
# Another checkout's, for a week; not one that a host stands on.
find "$LAB/layers" -mindepth 1 -maxdepth 1 -type d -mtime +7 ! -name "*-$hash" | while read -r old; do
    grep -qsxF "$old" "$LAB"/hosts/*/layer || discard "$old"
done
