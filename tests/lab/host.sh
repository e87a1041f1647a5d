#!/bin/bash
# One throw-away host: an overlay over a base system, a network of its own with the vendor's servers in
# it, and a booted systemd. The tests, the demo and the benchmark all make their hosts with this.
#   host.sh create NAME SUITE [REPO [LAYER]]   file system, network, servers; OWNER=PID ties it to a process
#   host.sh boot NAME [bare|sysv]      boots it ("bare": no systemd, as in an image build; "sysv": with
#                                      Debian's sysvinit as process 1); prints PID 1
#   host.sh exec NAME COMMAND…         runs a command in it, with nothing of our environment
#   host.sh serve NAME repo|keys VARIANT
#   host.sh intake NAME up|down
#   host.sh proxy NAME                 the vendor's repositories and keys are reached through a proxy only
#   host.sh stop NAME [kill]           shuts it down, or pulls the plug; it can be booted again
#   host.sh destroy NAME
#   host.sh begin                      destroys the hosts whose owner is gone; prints this checkout's SET folder
#   host.sh enter SUITE [REPO]         a shell in a host that is gone when the shell ends
#   host.sh clean                      deletes the lab folder; refuses while anybody uses it
set -euo pipefail
# shellcheck source=tests/lab/setup/common.sh
. "$(dirname "$0")/setup/common.sh"
lab=$(cd "$(dirname "$0")" && pwd)

web=127.0.0.1
intake=127.0.0.2
private=127.0.0.3
INSIDE=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TERM="${TERM:-dumb}")

folder() { echo "$LAB/hosts/$1"; }
netns() { echo "ddlab-$1"; }

# The start time tells a process from a later one with the same number.
started() { cut -d ' ' -f 22 "/proc/$1/stat" 2>/dev/null || echo gone; }

hosts_file() {
    local site sub
    echo "127.0.0.1 localhost lab-host"
    echo "::1 localhost ip6-localhost"
    echo "$web apt.datadoghq.com yum.datadoghq.com keys.datadoghq.com install.datadoghq.com"
    echo "$private private.test"
    echo "$web keys.test mirror.test apt.mirror.test yum.mirror.test keys.mirror.test install.mirror.test"
    for site in ddog-gov.com datadoghq.com datadoghq.eu us3.datadoghq.com us5.datadoghq.com ap1.datadoghq.com; do
        for sub in app api metrics.agent flare.agent trace.agent intake.profile process \
            http-intake.logs agent-http-intake.logs runtime-security-http-intake.logs dbm-metrics-intake dbquery-intake \
            ndm-intake snmp-traps-intake ndmflow-intake instrumentation-telemetry-intake appsecevts-intake orchestrator \
            cspm-intake cws-intake; do
            echo "$intake $sub.$site"
        done
    done
}

serve() {
    local dir target
    dir=$(folder "$1")
    case "$2" in
        repo) target=$SET/repo/$3 ;;
        keys) target=$SET/key-host/$3 ;;
        *) die "serve repo or keys" ;;
    esac
    [ -d "$target" ] || die "there is no $2 variant $3: run script/lab first"
    # By rename, so that a request in between finds the old or the new one.
    ln -sfn "$target" "$dir/www/$2.new"
    mv -T "$dir/www/$2.new" "$dir/www/$2"
}

# server NAME web|intake
server() {
    local dir file
    dir=$(folder "$1")
    for file in nginx.conf "$2.servers"; do
        sed "s|@DIR@|$dir|g; s|@TLS@|$TLS|g; s|@ROLE@|$2|g; s|@WEB@|$web|g; s|@PRIVATE@|$private|g; s|@SET@|$(cat "$dir/set")|g; s|@INTAKE@|$intake|g" "$lab/$file.in" > "$dir/${file/nginx/$2}"
    done
    nsenter --net="/run/netns/$(netns "$1")" nginx -p "$dir" -c "$dir/$2.conf" 9>&- 2>> "$dir/log/$2-error.log" ||
        die "the $2 server does not start: $(tail -n 3 "$dir/log/$2-error.log")"
}

# Puts the web server behind a proxy: the host no longer knows where it is, and the proxy does.
proxy() {
    local dir i
    dir=$(folder "$1")
    grep -v "^$web .*datadoghq" "$dir/root/etc/hosts" > "$dir/hosts.direct"
    mv "$dir/root/etc/hosts" "$dir/hosts.proxy"
    cp "$dir/hosts.direct" "$dir/root/etc/hosts"
    sed "s|@DIR@|$dir|g; s|@WEB@|$web|g" "$lab/proxy.conf.in" > "$dir/proxy.conf"
    touch "$dir/log/proxy.log"
    chown nobody "$dir/log/proxy.log"
    # shellcheck disable=SC2016 # for the inner shell
    setsid nsenter --net="/run/netns/$(netns "$1")" unshare --mount \
        sh -c 'mount --bind "$1" /etc/hosts && exec tinyproxy -d -c "$2"' sh "$dir/hosts.proxy" "$dir/proxy.conf" \
        < /dev/null > "$dir/log/proxy-error.log" 2>&1 9>&- &
    echo $! > "$dir/proxy.pid"
    for ((i = 0; i < 200; i++)); do
        ! nsenter --net="/run/netns/$(netns "$1")" ss -Hltn | grep -q ":3128 " || return 0
        sleep 0.05
    done
    die "the proxy does not start: $(tail -n 3 "$dir/log/proxy-error.log")"
}

stop_server() {
    local pid i
    pid=$(cat "$(folder "$1")/$2.pid" 2>/dev/null) || return 0
    kill -TERM "$pid" 2>/dev/null || return 0
    for ((i = 0; i < 200; i++)); do
        alive "$pid" || return 0
        sleep 0.02
    done
    kill -KILL "$pid" 2>/dev/null || true
}

create() {
    local name=$1 suite=$2 repo=${3:-good} dir base layer=''
    dir=$(folder "$name")
    base=$(readlink -f "$LAB/base/$suite") || true
    [ -d "$base" ] || die "there is no suite $suite: run script/lab first"
    if [ -n "${4:-}" ]; then
        layer=$(readlink -f "$LAB/layers/$4-$suite") || true
        [ -d "$layer" ] || die "there is no layer $4 for $suite: run script/lab first"
    fi
    mkdir -p "$LAB/hosts"
    mkdir "$dir"
    echo "${OWNER:-$PPID} $(started "${OWNER:-$PPID}")" > "$dir/owner"
    echo "$base" > "$dir/base"
    echo "$layer" > "$dir/layer"
    echo "$SET" > "$dir/set"
    mkdir "$dir"/{upper,work,root,www,log,tmp}
    mount -t overlay "ddlab-$name" -o "lowerdir=${layer:+$layer:}$base,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
    hosts_file > "$dir/root/etc/hosts"
    echo lab-host > "$dir/root/etc/hostname"
    ip netns add "$(netns "$name")"
    ip -n "$(netns "$name")" link set lo up
    serve "$name" repo "$repo"
    serve "$name" keys good
    server "$name" web
    server "$name" intake
}

# Boots in a control group of its own, below a pure cgroup2 tree: systemd of several suites needs one, and
# two hosts in one group would stop each other's services.
launch() {
    local name=$1 dir=$2
    shift 2
    exec 9>&-
    if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
        umount -l /sys/fs/cgroup/* 2>/dev/null || true
        umount -l /sys/fs/cgroup 2>/dev/null || true
        mount -t cgroup2 cgroup2 /sys/fs/cgroup
    fi
    mkdir -p "/sys/fs/cgroup/ddlab-$name"
    echo "$BASHPID" > "/sys/fs/cgroup/ddlab-$name/cgroup.procs"
    # /tmp stays on the overlay, where a test can see what is left in it.
    exec env -i PATH="$PATH" SYSTEMD_NSPAWN_TMPFS_TMP=0 systemd-nspawn --quiet --register=no --keep-unit \
        -D "$dir/root" --network-namespace-path="/run/netns/$(netns "$name")" --resolv-conf=off --timezone=off \
        --link-journal=no --hostname=lab-host -M "${name:0:60}" "$@"
}

boot() {
    local name=$1 mode=${2:-} dir i child children=() state='' nspawn pid=''
    dir=$(folder "$name")
    rm -f "$dir/pid"
    local how=(--boot --console=read-only)
    [ "$mode" != bare ] || how=(--as-pid2 --console=read-only sleep infinity)
    if [ "$mode" = sysv ]; then
        how=(--console=read-only /usr/sbin/init)
        rm -f "$dir/root/usr/sbin/init"
        cp -a "$(cat "$dir/set")/sysv/." "$dir/root/"
    fi
    export -f launch netns
    setsid unshare --mount bash -c 'launch "$@"' launch "$name" "$dir" "${how[@]}" < /dev/null > "$dir/log/console" 2>&1 9>&- &
    nspawn=$!
    echo "$nspawn" > "$dir/nspawn"
    for ((i = 0; i < 1500 && ${#pid} == 0; i++)); do
        alive "$nspawn" || die "the host does not boot: $(cat "$dir/log/console")"
        read -r -a children 2>/dev/null < "/proc/$nspawn/task/$nspawn/children" || true
        for child in "${children[@]}"; do
            # PID 1 of a name space of its own, and past the point where it has become its program.
            if grep -qs '^NSpid:.*[[:space:]]1$' "/proc/$child/status" && ! grep -qs nspawn "/proc/$child/comm"; then
                pid=$child
            fi
        done
        [ -n "$pid" ] || sleep 0.02
    done
    [ -n "$pid" ] || die "the host has no first process: $(cat "$dir/log/console")"
    if [ "$mode" = sysv ]; then
        for ((i = 0; i < 600; i++)); do
            if enter_host "$pid" test -e /run/lab-up; then break; fi
            sleep 0.05
        done
        ((i < 600)) || die "the host is not up after 30 s: $(cat "$dir/log/console")"
    elif [ "$mode" != bare ]; then
        for ((i = 0; i < 600; i++)); do
            state=$(enter_host "$pid" systemctl is-system-running 2>/dev/null || true)
            case "$state" in
                running | degraded) break ;;
            esac
            alive "$pid" || break
            sleep 0.05
        done
        case "$state" in
            running | degraded) ;;
            *)
                enter_host "$pid" journalctl -b --no-pager -n 60 >&2 || true
                die "the host is not up after 30 s ($state)"
                ;;
        esac
    fi
    echo "$pid" > "$dir/pid"
    echo "$pid"
}

# Where control groups are seen from here: with the older ones, cgroup2 stands in a folder of its own, if anywhere.
control_groups() {
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo /sys/fs/cgroup; else echo /sys/fs/cgroup/unified; fi
}

# Those of the host, for a command to join them.
group_of() {
    local path
    path=$(sed -n 's/^0:://p' "/proc/$1/cgroup" 2>/dev/null)
    echo "$(control_groups)${path%/init.scope}/user.slice/lab"
}

# Keeps the caller's stdin; nothing of the caller's environment goes in. The command joins the host's
# control groups where an operator's session would be.
enter_host() (
    pid=$1
    shift
    group=$(group_of "$pid")
    { mkdir -p "$group" && echo "$BASHPID" > "$group/cgroup.procs"; } 2>/dev/null || true
    exec env -i "${INSIDE[@]}" nsenter -t "$pid" -a -W/ -- "$@"
)

# A process that nobody waits for stays as a zombie where the machine's first process does not care.
alive() {
    [ -d "/proc/$1" ] && ! grep -qs '^State:.*zombie' "/proc/$1/status"
}

# All processes stop at the same instant, and each has its SIGKILL before any goes on: none sees the death of another and
# takes it for a failure.
pull_the_plug() {
    local group pids i
    group=$(control_groups)/ddlab-$1
    if { echo 1 > "$group/cgroup.freeze"; } 2> /dev/null; then
        for ((i = 0; i < 100; i++)); do
            ! grep -qx 'frozen 1' "$group/cgroup.events" || break
            sleep 0.01
        done
        # Not by cgroup.kill: kernels that have it may kill what the next boot begins in groups of the same name.
        mapfile -t pids < <(find "$group" -name cgroup.procs -exec cat {} + 2> /dev/null)
        kill -KILL "${pids[@]}" 2> /dev/null || true
    fi
    kill -KILL "$2" 2> /dev/null || true
    # The group must thaw for the next boot.
    { echo 0 > "$group/cgroup.freeze"; } 2> /dev/null || true
}

stop() {
    local dir pid nspawn i
    dir=$(folder "$1")
    nspawn=$(cat "$dir/nspawn" 2>/dev/null) || return 0
    pid=$(cat "$dir/pid" 2>/dev/null || true)
    if [ -n "$pid" ] && grep -qs '^NSpid:.*[[:space:]]1$' "/proc/$pid/status"; then
        if [ "${2:-}" = kill ]; then pull_the_plug "$1" "$pid"; else kill -s RTMIN+4 "$pid" || true; fi
    elif grep -qs -e nspawn -e unshare -e bash "/proc/$nspawn/comm"; then
        kill -KILL "$nspawn" 2>/dev/null || true
    fi
    for ((i = 0; i < 1500; i++)); do
        alive "$nspawn" || break
        sleep 0.02
    done
    rm -f "$dir/pid" "$dir/nspawn"
}

destroy() {
    local name=$1 dir
    dir=$(folder "$name")
    [ -d "$dir" ] || return 0
    stop "$name" kill
    stop_server "$name" web
    stop_server "$name" intake
    stop_server "$name" proxy
    ip netns del "$(netns "$name")" 2>/dev/null || true
    if mountpoint -q "$dir/root"; then
        umount -R "$dir/root" 2>/dev/null || umount -R -l "$dir/root"
    fi
    remove_cgroup "ddlab-$name"
    discard "$dir"
}

# Groups are folders that must go from the inside out. On a machine with the older control groups the
# tree that hosts live in is mounted for this only.
remove_cgroup() {
    # shellcheck disable=SC2016 # for the inner shell
    unshare --mount sh -c '
        if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then mount -t cgroup2 cgroup2 /sys/fs/cgroup; fi
        [ ! -d "/sys/fs/cgroup/$1" ] || find "/sys/fs/cgroup/$1" -depth -type d -exec rmdir {} \;
    ' sh "$1" 2>/dev/null || true
}

begin() {
    local dir pid when
    if [ ! -e "$SET/ready" ] || [ ! -e "$TLS/ready" ]; then
        die "the lab is not set up for this checkout: run script/lab first"
    fi
    exec 8> "$LAB/begin.lock"
    flock 8
    for dir in "$LAB"/hosts/*/; do
        read -r pid when 2>/dev/null < "$dir/owner" || continue
        if [ "$pid" != keep ] && [ "$(started "$pid")" != "$when" ]; then
            destroy "$(basename "$dir")"
        fi
    done
    echo "$SET"
}

enter() {
    local suite=${1:-bookworm} name
    name=$suite-$$
    begin > /dev/null
    # shellcheck disable=SC2064 # the name of now
    trap "destroy $name" EXIT
    OWNER=$$ create "$name" "$suite" "${2:-good}"
    boot "$name" > /dev/null
    say "a $suite host; leave the shell to throw it away"
    say "its servers' logs: $(folder "$name")/log; trusted key: DD_REPO_KEY_FINGERPRINTS=$(sed -n 's/^signing=//p' "$SET/keys/fingerprints.env")"
    enter_host "$(cat "$(folder "$name")/pid")" bash -l || true
}

# The folder is shared: a setup that is under way and hosts of other processes are not ours to end.
clean() {
    local dir
    [ -d "$LAB" ] || return 0
    exec 9> "$LAB/lock"
    flock -n 9 || die "a setup is under way in $LAB"
    [ ! -e "$SET/ready" ] || [ ! -e "$TLS/ready" ] || begin > /dev/null
    for dir in "$LAB"/hosts/*/; do
        [ ! -d "$dir" ] || die "$(basename "$dir") is in use (by process $(cut -d ' ' -f 1 "$dir/owner")): host.sh destroy it first"
    done
    discard "$LAB"
}

command=${1:-}
[ $# -eq 0 ] || shift
case "$command" in
    create | boot | serve | proxy | stop | destroy | enter | begin) "$command" "$@" ;;
    exec) name=$1 && shift && enter_host "$(cat "$(folder "$name")/pid")" "$@" ;;
    intake)
        case "$2" in
            up) server "$1" intake ;;
            down) stop_server "$1" intake ;;
            *) die "intake up or down" ;;
        esac
        ;;
    clean) clean ;;
    *) sed -n '2,16s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
