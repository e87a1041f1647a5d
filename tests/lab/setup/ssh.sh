#!/bin/bash
# The programs of an ssh server and sudo, by suite, from the distribution's own packages: a layer below a base system,
# for hosts that are reached from outside (host.sh create … ssh). ssh/SUITE is a link to the current one.
set -euo pipefail
# shellcheck source=tests/lab/setup/common.sh
. "$(dirname "$0")/common.sh"

hash=$(inputs ssh.sh)
mkdir -p "$LAB/ssh"

# layer SUITE: what the base has not. A base's own files win, for they lie above.
layer() {
    local root=$LAB/ssh/$1-$hash
    [ ! -d "$root" ] || return 0
    say "building the ssh layer of $1"
    discard "$root.all" "$root.new"
    mmdebstrap --quiet --variant=extract --include=openssh-server,sudo "$1" "$root.all" > "$LAB/ssh/$1.log" 2>&1 ||
        die "mmdebstrap $1 failed: $(tail -n 3 "$LAB/ssh/$1.log")"
    mkdir -p "$root.new/usr/lib"
    # No folder of apt or dpkg is among them: the stand-ins for Red Hat and SUSE have none.
    (cd "$root.all" && cp -a --parents usr/sbin/sshd usr/lib/openssh usr/bin/ssh-keygen usr/bin/sudo usr/libexec/sudo \
        etc/pam.d/sudo etc/sudoers usr/lib/x86_64-linux-gnu/*.so* "$root.new/")
    if compgen -G "$root.all/lib/x86_64-linux-gnu/*.so*" > /dev/null && [ ! -L "$root.all/lib" ]; then
        cp -an "$root.all"/lib/x86_64-linux-gnu/*.so* "$root.new/usr/lib/x86_64-linux-gnu/"
    fi
    discard "$root.all"
    mv "$root.new" "$root"
}

for suite in bookworm trixie; do
    layer "$suite"
    ln -sfn "$suite-$hash" "$LAB/ssh/$suite"
done
# Stand-ins on the programs of Debian 12.
for suite in el9 sles15; do
    ln -sfn "bookworm-$hash" "$LAB/ssh/$suite"
done
