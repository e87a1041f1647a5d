# Sourced: makes a Debian 12 root behave as an RPM distribution: a stand-in, for no image of the real ones is to be had.
# dnf, zypper and rpm are real; release files, database and the absence of apt and dpkg are as there.
# shellcheck shell=bash

RPM_COMMON=systemd,systemd-sysv,dbus,ca-certificates,iproute2,haproxy,passwd,perl-base,rpm

# rpm_packages SUITE
rpm_packages() {
    case "$1" in
        el9) echo "$RPM_COMMON,dnf,dnf-plugins-core" ;;
        sles15) echo "$RPM_COMMON,zypper" ;;
    esac
}

# Values as the distributions document them (os-release of RHEL 9.4 and SLES 15 SP5).
release_files() {
    local root=$1 suite=$2
    rm -f "$root/etc/os-release" "$root/etc/debian_version" "$root/etc/issue" "$root/etc/issue.net"
    case "$suite" in
        el9)
            cat > "$root/etc/os-release" <<'TEXT'
NAME="Red Hat Enterprise Linux"
VERSION="9.4 (Plow)"
ID="rhel"
ID_LIKE="fedora"
VERSION_ID="9.4"
PLATFORM_ID="platform:el9"
PRETTY_NAME="Red Hat Enterprise Linux 9.4 (Plow)"
TEXT
            echo "Red Hat Enterprise Linux release 9.4 (Plow)" > "$root/etc/redhat-release"
            mkdir -p "$root/etc/dnf/vars" "$root/etc/yum.repos.d" "$root/etc/pki/tls/certs"
            echo 9 > "$root/etc/dnf/vars/releasever"
            ln -sf dnf "$root/usr/bin/yum"
            printf '[main]\ngpgcheck=1\ninstallonly_limit=3\nclean_requirements_on_remove=True\nbest=True\nskip_if_unavailable=False\n' \
                > "$root/etc/dnf/dnf.conf"
            ln -sf /etc/ssl/certs/ca-certificates.crt "$root/etc/pki/tls/certs/ca-bundle.crt"
            ;;
        sles15)
            cat > "$root/etc/os-release" <<'TEXT'
NAME="SLES"
VERSION="15-SP5"
VERSION_ID="15.5"
PRETTY_NAME="SUSE Linux Enterprise Server 15 SP5"
ID="sles"
ID_LIKE="suse"
ANSI_COLOR="0;32"
CPE_NAME="cpe:/o:suse:sles:15:sp5"
TEXT
            mkdir -p "$root"/etc/{zypp/repos.d,pki/trust/anchors} "$root"/var/{lib/ca-certificates,adm/update-scripts}
            ln -sf /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/ca-bundle.pem"
            ;;
    esac
    cp "$root/etc/os-release" "$root/usr/lib/os-release"
    sed -n 's/^PRETTY_NAME="\(.*\)"$/\1/p' "$root/etc/os-release" > "$root/etc/issue"
}

# The one package that everything there is said to come from.
base_package() {
    local root=$1 work=$1/tmp/lab-base
    mkdir -p "$work"
    cat > "$work/lab-base.spec" <<'SPEC'
Name: lab-base
Version: 1
Release: 1
Summary: Says that the lab's base system is installed
License: Apache-2.0
BuildArch: noarch
Provides: /bin/sh, /usr/bin/sh, /bin/bash, haproxy, shadow-utils, systemd, system-release = 9, system-release(releasever) = 9
%description
A stand-in for all packages of a distribution.
%files
SPEC
    rpmbuild --quiet -bb --define "_topdir $work" "$work/lab-base.spec"
    # Debian's rpm wants to be told that it may.
    chroot "$root" rpm -i --force-debian --nodeps --nosignature /tmp/lab-base/RPMS/noarch/lab-base-1-1.noarch.rpm
    rm -rf "$work"
}

# become_rpm ROOT SUITE
become_rpm() {
    local root=$1 suite=$2
    mkdir -p "$root/etc/rpm"
    # Debian's rpm keeps its database in the home folder.
    echo "%_dbpath /var/lib/rpm" > "$root/etc/rpm/macros"
    rm -rf "$root/root/.rpmdb" "$root/var/lib/rpm"
    mkdir -p "$root/var/lib/rpm"
    ln -sf bash "$root/bin/sh"
    release_files "$root" "$suite"
    base_package "$root"
    ln -sf /dev/null "$root/etc/systemd/system/dnf-makecache.timer"
    rm -rf "$root"/usr/bin/{apt,dpkg,debconf}* "$root"/usr/sbin/dpkg* "$root"/var/lib/{apt,dpkg} "$root"/etc/{apt,dpkg} \
        "$root"/usr/lib/{apt,dpkg} "$root"/usr/share/dpkg "$root"/var/cache/{apt,debconf} "$root"/lib/systemd/system/{apt,dpkg}-* \
        "$root"/etc/cron.daily/{apt-compat,dpkg} "$root"/etc/logrotate.d/{apt,dpkg}
    # The first query makes files of the database that a test would take for a change.
    chroot "$root" rpm -qa > /dev/null
}
