#!/bin/bash
# Container images of the lab: real builds with buildah, and real containers with crun, in the network of a host of the
# lab, whose servers they see. There is no registry: their base is the base system of a suite, without systemd.
#   container.sh build NAME SUITE IMAGE BINARY [KEY=VALUE…]
#                                  builds packaging/container for the host NAME, with these build arguments
#   container.sh bud NAME SUITE IMAGE CONTEXT [KEY=VALUE…]
#                                  builds what is in a folder, with the Containerfile there
#   container.sh size IMAGE        the bytes of its last layer
#   container.sh start NAME IMAGE FOLDER [VARIABLE…]
#                                  runs it, with these variables of our environment; returns when its first process runs
#   container.sh exec FOLDER COMMAND…     runs a command in it
#   container.sh environments FOLDER      prints the environments of its processes, each line after a process's name
#   container.sh stop FOLDER SIGNAL       sends it a signal, waits for its end, and prints its exit code
#   container.sh mount IMAGE COMMAND…     runs a command in the image's root, out here
#   container.sh remove IMAGE [FOLDER]    ends it, and removes it
set -euo pipefail
# shellcheck source=tests/lab/setup/common.sh
. "$(dirname "$0")/setup/common.sh"
project=$(cd "$(dirname "$0")/../.." && pwd)
store=$LAB/images
# What is mounted is known until the machine is started anew.
mounts=/run/ddlab-images${LAB//\//-}

builder() {
    buildah --root "$store" --runroot "$mounts" --storage-driver overlay "$@"
}

inside() {
    local name=$1
    shift
    nsenter --net="/run/netns/ddlab-$name" unshare --mount "$0" "$@"
}

# The names of a host's servers, as options.
names() {
    local address name line
    while read -r -a line; do
        address=${line[0]:-}
        for name in "${line[@]:1}"; do
            [[ $address == ::1 || $name == localhost ]] || printf -- '--add-host=%s:%s\n' "$name" "$address"
        done
    done < "$LAB/hosts/$1/root/etc/hosts"
}

# What an image does not need of a base that boots.
base() {
    local folder container root
    folder=$(readlink -f "$LAB/base/$1")
    image=localhost/$(basename "$folder")
    mkdir -p "$store"
    exec 8> "$store/base.lock"
    flock 8
    builder inspect --type image "$image" > /dev/null 2>&1 || {
        container=$(builder from scratch)
        root=$(builder mount "$container")
        tar -C "$folder" -c --exclude=./usr/share/{doc,man,locale} --exclude=./usr/lib/systemd/systemd \
            --exclude=./usr/bin/systemctl --exclude=./usr/bin/journalctl . | tar -C "$root" -x
        builder commit --quiet --rm "$container" "$image" > /dev/null
    }
    exec 8>&-
}

build() {
    local name=$1 suite=$2 result=$3 binary=$4 context
    shift 4
    context=$(mktemp -d "$LAB/context.XXXXXX")
    # shellcheck disable=SC2064 # the folder of now
    trap "rm -rf '$context'" EXIT
    cp "$project"/packaging/container/* "$context"
    strip -o "$context/ddinstall" "$binary"
    bud "$name" "$suite" "$result" "$context" "$@"
}

bud() {
    local name=$1 suite=$2 result=$3 context=$4 image argument arguments=()
    shift 4
    base "$suite"
    for argument; do
        arguments+=(--build-arg "$argument")
    done
    mapfile -t hosts < <(names "$name")
    inside "$name" builder bud --isolation chroot --layers=false --network host --pull-never \
        "${hosts[@]}" --build-arg BASE="$image" "${arguments[@]}" --tag "localhost/$result" "$context"
}

# What the storage knows of the last layer of an image.
size() {
    perl -MJSON::PP -0777 -e '
        my ($image, @files) = @ARGV;
        my ($images, $layers) = map { open my $in, "<", $_ or die "$_: $!\n"; decode_json(<$in>) } @files;
        my ($found) = grep { grep { $_ eq $image } @{$_->{names} || []} } @$images or die "no image $image\n";
        print map { "$_->{\"diff-size\"}\n" } grep { $_->{id} eq $found->{layer} } @$layers;
    ' "localhost/$1:latest" "$store/overlay-images/images.json" "$store/overlay-layers/layers.json"
}

start() {
    local name=$1 image=$2 folder=$3 i
    shift 3
    mkdir -p "$folder/crun"
    rm -f "$folder/status"
    inside "$name" run "$name" "$image" "$folder" "$@" < /dev/null > "$folder/log" 2>&1 &
    for ((i = 0; i < 600; i++)); do
        # One that lacks something has ended before it was seen.
        [ -z "$(ls -A "$folder/crun")" ] && [ ! -e "$folder/status" ] || return 0
        sleep 0.05
    done
    die "the container does not start: $(cat "$folder/log")"
}

# crun takes one pure tree of control groups, as systemd does.
run() {
    local name=$1 image=$2 folder=$3 container status=0 variable variables=()
    shift 3
    if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
        umount -l /sys/fs/cgroup/* 2> /dev/null || true
        umount -l /sys/fs/cgroup 2> /dev/null || true
        mount -t cgroup2 cgroup2 /sys/fs/cgroup
    fi
    for variable; do
        variables+=(--env "$variable=${!variable}")
    done
    mapfile -t hosts < <(names "$name")
    container=$(builder from --pull-never --ulimit nofile=4096:4096 "${hosts[@]}" "localhost/$image")
    builder run --isolation oci --runtime crun --runtime-flag "root=$folder/crun" --runtime-flag cgroup-manager=disabled \
        --network host "${variables[@]}" "$container" -- /usr/local/bin/entrypoint.sh || status=$?
    builder rm "$container" > /dev/null
    echo "$status" > "$folder/status.new"
    mv "$folder/status.new" "$folder/status"
}

id() {
    ls "$1/crun"
}

command=${1:-}
[ $# -eq 0 ] || shift
case "$command" in
    build | bud | size | start | run | builder) "$command" "$@" ;;
    exec) exec crun --root "$1/crun" exec "$(id "$1")" "${@:2}" ;;
    environments)
        first=$(crun --root "$1/crun" state "$(id "$1")" | perl -ne 'print $1 if /"pid": (\d+)/')
        for process in /proc/[0-9]*; do
            # It may be gone by now.
            [ "$(readlink "$process/ns/pid")" = "$(readlink "/proc/$first/ns/pid")" ] || continue
            name=$(cat "$process/comm" 2> /dev/null) || continue
            { tr '\0' '\n' < "$process/environ" | sed "s|^|$name: |"; } 2> /dev/null || true
        done
        ;;
    stop)
        crun --root "$1/crun" kill "$(id "$1")" "$2"
        for ((i = 0; i < 600; i++)); do
            [ ! -e "$1/status" ] || break
            sleep 0.05
        done
        cat "$1/status"
        ;;
    mount)
        container=$(builder from --pull-never "localhost/$1")
        root=$(builder mount "$container")
        status=0
        (cd "$root" && "${@:2}") || status=$?
        builder rm "$container" > /dev/null
        exit "$status"
        ;;
    remove)
        [ -z "${2:-}" ] || [ -z "$(id "$2" 2> /dev/null)" ] || "$0" stop "$2" KILL > /dev/null || true
        builder rmi "localhost/$1" > /dev/null 2>&1 || true
        ;;
    *) sed -n '2,17s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
