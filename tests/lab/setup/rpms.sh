#!/bin/bash
# Makes an rpm of each stand-in deb, with its files and, called as rpm calls them, its scripts. Signed packages lie in
# RPMS/KEY, so that a repository may have some that the wrong key has signed.
set -euo pipefail
# shellcheck source=tests/lab/setup/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck disable=SC1091 # written by keys.sh
. "$SET/keys/fingerprints.env"

RPMS=$SET/rpms
WORK=$(mktemp -d "$SET/build.XXXXXX")
trap 'rm -rf "$WORK"' EXIT
rm -rf "$RPMS"
mkdir -p "$RPMS"

# What rpm passes is how many versions will be left.
# shellcheck disable=SC2016 # for the script
from_count='case "$1" in 0) set -- remove ;; *) set -- upgrade ;; esac'

# scriptlet NAME PREAMBLE FILE: the deb's script without its first line.
scriptlet() {
    [ -e "$3" ] || return 0
    echo "%$1"
    echo "$2"
    # shellcheck disable=SC2016 # for the script
    sed -e 1d -e 's/tool: dpkg/tool: rpm/; s/tool_version: dpkg-/tool_version: rpm-/; s/deb_package/rpm_package/' \
        -e 's/\$(dpkg-query .*)/$(rpm --version | cut -d " " -f 3)/' -e 's/%/%%/g' "$3"
    echo
}

# spec NAME EPOCH VERSION DIR FAULT
spec() {
    local control=$4/DEBIAN
    cat <<SPEC
Name: $1
${2:+Epoch: $2
}Version: $3
Release: 1
Summary: A stand-in for tests
License: Apache-2.0
Vendor: The ddinstall test lab
AutoReqProv: no
Requires: shadow-utils
${6:+Requires: $6
}%description
This package is made by the test lab of ddinstall. It has the names, files, owners and
services of the vendor's package, and none of its programs.
%install
cp -a $WORK/files/. %{buildroot}/
%pre
set -e
getent group dd-agent >/dev/null || groupadd --system dd-agent
getent passwd dd-agent >/dev/null ||
    useradd --system --gid dd-agent --home-dir /opt/datadog-agent --no-create-home --shell /usr/sbin/nologin dd-agent
SPEC
    # rpm goes on after a script that fails later.
    [ "$5" != postinst ] || echo 'echo "datadog-agent: cannot run pre-install hook" >&2; exit 1'
    # At the end of the transaction, after the older version's scripts: as the vendor does it.
    scriptlet posttrans 'set -- configure' "$control/postinst"
    scriptlet preun "$from_count" "$control/prerm"
    scriptlet postun "$from_count" "$control/postrm"
    echo "%files"
    echo "%defattr(-,root,root,-)"
    (
        cd "$4" || exit
        find . -path ./DEBIAN -prune -o -type d -path '*datadog*' -printf '%%dir "/%P"\n' -o \
            -name '*.policy' -printf '%%config(noreplace) "/%P"\n' -o ! -type d -printf '"/%P"\n'
    )
}

# rpm_of DEB: the deb's name up to .deb
rpm_of() {
    local root=$WORK/root name version epoch='' fault=${1##*_amd64} needs=
    rm -rf "$root" "$WORK/top"
    dpkg-deb -R "$SET/debs/$1.deb" "$root"
    if [ -d "$root/lib" ]; then
        mkdir -p "$root/usr"
        mv "$root/lib" "$root/usr/lib"
    fi
    # Services are systemd's on these releases.
    rm -rf "$root/etc/init.d"
    name=${1%%_*}
    version=${1#*_}
    version=${version%%-*}
    ! grep -q '^Version: 1:' "$root/DEBIAN/control" || epoch=1
    needs=$(sed -n 's/^Depends: //p' "$root/DEBIAN/control")
    spec "$name" "$epoch" "$version" "$root" "${fault#.}" "$needs" > "$WORK/$name.spec"
    rm -rf "$WORK/files"
    cp -a "$root" "$WORK/files"
    rm -rf "$WORK/files/DEBIAN"
    rpmbuild --quiet -bb --target x86_64 --define "_topdir $WORK/top" --define "_rpmdir $WORK/top" \
        --define "_build_id_links none" --define "__os_install_post %{nil}" --define "_binary_payload w3.gzdio" \
        --define "use_source_date_epoch_as_buildtime 1" --define "_buildhost lab" "$WORK/$name.spec" > /dev/null 2> "$WORK/log" ||
        die "rpmbuild $1 failed: $(tail -n 3 "$WORK/log")"
    mkdir -p "$RPMS/${2:-signing}"
    cp "$WORK/top/x86_64/$name-$version-1.x86_64.rpm" "$RPMS/${2:-signing}/$1.rpm"
}

for deb in "$SET"/debs/datadog-{agent,fips-proxy}_*.deb; do
    deb=$(basename "$deb" .deb)
    case "$deb" in *.full) continue ;; esac
    rpm_of "$deb"
done

# sign KEY: all packages of RPMS/KEY
sign() {
    rpmsign --define "_gpg_name ${!1}" --define "_gpg_path $SET/keys/home" --define "_gpg_digest_algo sha512" --define "__gpg $(command -v gpg)" \
        --addsign "$RPMS/$1"/*.rpm > /dev/null 2> "$WORK/log" || die "rpmsign failed: $(tail -n 3 "$WORK/log")"
}
for key in next stranger; do
    mkdir "$RPMS/$key"
    cp "$RPMS"/signing/*.rpm "$RPMS/$key/"
done
for key in signing next stranger; do
    sign "$key"
done
GNUPGHOME=$SET/keys/home gpgconf --kill all
