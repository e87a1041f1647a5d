#!/bin/sh
# A stand-in for the script of the vendor's package, with its habits: `status` by a PID file, status 0 where the program
# or its configuration is away, and the Agent's script starts and stops the others.
### BEGIN INIT INFO
# Provides:          @NAME@
# Required-Start:    $remote_fs
# Required-Stop:     $remote_fs
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: @NAME@
### END INIT INFO
. /lib/lsb/init-functions

program=@PROGRAM@
pid_file=/opt/datadog-agent/run/@PID@
user=@USER@
others="@OTHERS@"

if [ ! -x "$program" ]; then
    echo "$program not found. Exiting @NAME@"
    exit 0
fi
if [ ! -e "@CONFIG@" ]; then
    echo "@CONFIG@ not found. Exiting @NAME@"
    exit 0
fi

runs() {
    status_of_proc -p "$pid_file" "$program" @NAME@ > /dev/null
}

start() {
    ! runs || return 0
    start-stop-daemon --start --background --chuid "$user" --quiet --pidfile "$pid_file" --user "$user" --startas "$program" -- @ARGUMENTS@
    tries=0
    while ! runs; do
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || { echo "@NAME@ does not start"; return 1; }
        sleep 0.1
    done
    for other in $others; do service "$other" start; done
    return 0
}

stop() {
    for other in $others; do service "$other" stop; done
    start-stop-daemon --stop --quiet --oknodo --retry=10 --pidfile "$pid_file" --user "$user"
    rm -f "$pid_file"
}

case "$1" in
    start) start ;;
    stop) stop ;;
    status) status_of_proc -p "$pid_file" "$program" @NAME@ ;;
    restart | force-reload) stop; start ;;
    *) echo "Usage: $0 {start|stop|restart|status}"; exit 1 ;;
esac
