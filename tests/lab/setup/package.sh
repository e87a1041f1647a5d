# Sourced: makes one stand-in package. FROM has the sources, WORK is a scratch folder, DEBS takes the result.
# shellcheck shell=bash

FROM=$(cd "$SETUP/../packages" && pwd)
DEBS=$SET/debs
WORK=$(mktemp -d "$SET/build.XXXXXX")
trap 'rm -rf "$WORK"' EXIT

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
    dpkg-deb --root-owner-group "${COMPRESSION:--Zgzip}" "-z${LEVEL:-6}" -b "$1" "$DEBS/$2" >/dev/null
    rm -rf "$1"
}

# Where things are once they are installed.
bin=/opt/datadog-agent/bin/agent
embedded=/opt/datadog-agent/embedded/bin
run=/opt/datadog-agent/run
yaml=/etc/datadog-agent/datadog.yaml

# script ROOT NAME PROGRAM PID USER CONFIG ARGUMENTS [OTHER...]
script() {
    local root=$1 name=$2 program=$3 pid=$4 user=$5 config=$6 arguments=$7
    shift 7
    sed "s|@PROGRAM@|$program|; s|@PID@|$pid.pid|; s|@USER@|$user|; s|@CONFIG@|$config|g; s|@ARGUMENTS@|$arguments|
        s|@NAME@|$name|g; s|@OTHERS@|$*|" "$FROM/agent/init.d/service.sh" > "$root/etc/init.d/$name"
    chmod 0755 "$root/etc/init.d/$name"
}

# agent UPSTREAM LAYOUT [crash|postinst|full]; "full" has BULK, a folder, inside.
agent() {
    local upstream=$1 layout=$2 fault=${3:-} root=$WORK/agent name check
    local opt=$root/opt/datadog-agent etc=$root/etc/datadog-agent
    mkdir -p "$opt/bin/agent" "$opt/embedded/bin" "$opt/embedded/lib" "$opt/run" "$root/usr/bin" "$root/lib/systemd/system" \
        "$root/var/log/datadog" "$etc/compliance.d" "$etc/runtime-security.d" "$etc/selinux" "$root/DEBIAN"
    sed "s/@VERSION@/$upstream/" "$FROM/agent/bin/agent" > "$opt/bin/agent/agent"
    if [ "$fault" = crash ]; then
        sed -i 's/^    # CRASH$/    select undef, undef, undef, 0.5; print STDERR "panic: runtime error: this version crashes\\n"; exit 1;/' "$opt/bin/agent/agent"
    fi
    for name in trace-agent process-agent security-agent system-probe; do
        sed "s/@VERSION@/$upstream/" "$FROM/agent/bin/satellite" > "$opt/embedded/bin/$name"
    done
    cp "$FROM/agent/bin/config.pl" "$opt/embedded/lib/config.pl"
    chmod 0755 "$opt/bin/agent/agent" "$opt/embedded/bin/"*
    ln -s /opt/datadog-agent/bin/agent/agent "$root/usr/bin/datadog-agent"
    cp "$FROM/agent/units/"*.service "$root/lib/systemd/system/"
    mkdir -p "$root/etc/init.d"
    script "$root" datadog-agent "$bin/agent" agent dd-agent "$yaml" "run -p $run/agent.pid" \
        datadog-agent-process datadog-agent-trace datadog-agent-security
    script "$root" datadog-agent-trace "$embedded/trace-agent" trace-agent dd-agent "$yaml" "--config $yaml --pid $run/trace-agent.pid"
    script "$root" datadog-agent-process "$embedded/process-agent" process-agent dd-agent "$yaml" "--cfgpath=$yaml --pid=$run/process-agent.pid"
    script "$root" datadog-agent-security "$embedded/security-agent" security-agent root /etc/datadog-agent/security-agent.yaml \
        "start -c $yaml --pidfile=$run/security-agent.pid"

    perl "$FROM/agent/examples/bulk.pl" > "$WORK/bulk.settings"
    perl "$FROM/agent/examples/render.pl" "$layout" "$FROM/agent/examples/datadog.settings" "$WORK/bulk.settings" > "$etc/datadog.yaml.example"
    for name in system-probe security-agent; do
        perl "$FROM/agent/examples/render.pl" "$layout" "$FROM/agent/examples/$name.settings" > "$etc/$name.yaml.example"
    done
    cp "$FROM/agent/default.policy" "$etc/runtime-security.d/default.policy"
    echo "# A stand-in for a benchmark." > "$etc/compliance.d/cis-docker.yaml"
    for check in cpu disk load memory network uptime; do
        mkdir -p "$etc/conf.d/$check.d"
        printf 'init_config:\n\ninstances:\n  - {}\n' > "$etc/conf.d/$check.d/conf.yaml.default"
    done

    if [ "$fault" = full ]; then
        mv "$BULK" "$opt/embedded/lib/bulk"
    fi
    control "$root" datadog-agent "1:$upstream-1" "" "Datadog Monitoring Agent $upstream (a stand-in for tests)"
    sed -i "s/^Section:/Recommends: datadog-signing-keys (>= 1:1.3.1)\nSection:/" "$root/DEBIAN/control"
    install -m 0755 "$FROM/agent/"{postinst,prerm,postrm} "$root/DEBIAN/"
    if [ "$fault" = postinst ]; then
        sed -i 's/^# FAIL$/echo "datadog-agent: cannot run post-install hook" >\&2; exit 1/' "$root/DEBIAN/postinst"
    fi
    build "$root" "datadog-agent_$upstream-1_amd64${fault:+.$fault}.deb"
}
