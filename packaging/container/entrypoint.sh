#!/bin/sh
# The first process of a container: completes the image from the environment (DD_API_KEY, and any other DD_* of
# `ddinstall settings`), starts the FIPS proxy, then the Agent and what CWS needs. It ends, with status 1, when one of
# them ends, and with status 0 when it is told to; the runtime's restart policy has the rest.
set -eu

agent=/opt/datadog-agent
etc=/etc/datadog-agent
proxy=/opt/datadog-fips-proxy/embedded/sbin/haproxy
pids=

say() {
    echo "entrypoint: $*" >&2
}

# What the Agent's files say, as `ddinstall install` left them.
is_on() {
    [ "$(ddinstall config get "$etc/$1" "$2" 2> /dev/null || true)" = true ]
}

# start USER PROGRAM…: in the background.
start() {
    user=$1
    shift
    say "starting $1"
    if [ "$user" = root ] || [ "$(id -u)" != 0 ]; then
        "$@" &
    elif command -v setpriv > /dev/null; then
        setpriv --reuid="$user" --regid="$user" --init-groups "$@" &
    else
        runuser -u "$user" -- "$@" &
    fi
    pids="$! $pids"
}

# How many of the ports 9803 to 9818 are listened on. The kernel writes them as 264B to 265A, and listening as 0A.
ports() {
    seen=
    for table in /proc/net/tcp /proc/net/tcp6; do
        [ -r "$table" ] || continue
        while read -r _ address _ state _; do
            port=${address##*:}
            case "$state:$port: $seen" in
                *:*:*" $port "*) ;;
                0A:264[B-F]:* | 0A:265[0-9A]:*) seen="$seen$port " ;;
            esac
        done < "$table"
    done
    # shellcheck disable=SC2086 # to count its words
    set -- $seen
    echo $#
}

all_run() {
    for pid in $pids; do
        kill -0 "$pid" 2> /dev/null || return 1
    done
}

# The last one first: the proxy ends when nobody sends any more. A signal may come before the last one is noted.
stop() {
    trap '' TERM INT
    for pid in ${!-} $pids; do
        kill -TERM "$pid" 2> /dev/null || true
        wait "$pid" || true
    done
    exit "$1"
}

# Asleep, and awake at once when a signal comes. Waiting also reaps whatever has ended.
rest() {
    sleep "$1" &
    wait $! || true
}

trap 'stop 0' TERM INT
if [ "${1:-}" != start ]; then
    # In the background, where a signal to the first process ends it in order. With our own standard input.
    { ddinstall install --profile container --quiet <&3 3<&- & } 3<&0
    pids=$!
    wait "$pids"
    # Keys and addresses, which may hold a password, are in their files now, or have served.
    unset DD_API_KEY DD_APP_KEY DD_PRIVATE_ACTION_RUNNER_PRIVATE_KEY
    unset DD_URL DD_PROXY_HTTP DD_PROXY_HTTPS DD_REPO_PROXY DD_REPO_URL REPO_URL
    unset TESTING_APT_URL TESTING_YUM_URL TESTING_KEYS_URL TESTING_REPORT_URL
    # Without FIPS, these are the Agent's way out.
    if is_on datadog.yaml fips.enabled; then
        unset HTTP_PROXY HTTPS_PROXY ALL_PROXY http_proxy https_proxy all_proxy
    fi
    # Anew, so that this process's own environment is without them, too.
    exec /bin/sh "$0" start
fi

# What the proxy's unit has, too: it wants some 2000 descriptors.
# shellcheck disable=SC3045 # dash, bash and busybox have it
ulimit -n 4096 2> /dev/null || [ "$(ulimit -n)" = unlimited ] || [ "$(ulimit -n)" -ge 4096 ] ||
    say "the proxy may want to open more files than it may here: docker run --ulimit nofile=4096:4096"

if is_on datadog.yaml fips.enabled; then
    start dd-agent "$proxy" -db -f /etc/datadog-fips-proxy/datadog-fips-proxy.cfg
    tries=0
    while [ "$(ports)" -lt 16 ]; do
        tries=$((tries + 1))
        if [ "$tries" -gt 100 ] || ! all_run; then
            say "the proxy does not listen on its 16 ports"
            stop 1
        fi
        rest 0.2
    done
fi
start dd-agent "$agent/bin/agent/agent" run -p "$agent/run/agent.pid"
if is_on system-probe.yaml runtime_security_config.enabled; then
    start root "$agent/embedded/bin/system-probe" run --config="$etc/system-probe.yaml" --pid="$agent/run/system-probe.pid"
    # From 7.84 on system-probe does its work.
    if [ -e "$etc/security-agent.yaml" ]; then
        start root "$agent/embedded/bin/security-agent" start -c "$etc/datadog.yaml" -c "$etc/security-agent.yaml" \
            --pidfile="$agent/run/security-agent.pid"
    fi
fi

while all_run; do
    rest 1
done
say "a process has ended; ending the others"
stop 1
