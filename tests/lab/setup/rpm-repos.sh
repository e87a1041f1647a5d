#!/bin/bash
# Signed RPM repositories: the variants of repos.sh, in the same document roots.
set -euo pipefail
# shellcheck source=tests/lab/setup/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck disable=SC1091 # written by keys.sh
. "$SET/keys/fingerprints.env"

# repository NAME KEY|none PACKAGES RPM… : KEY signs the index, PACKAGES is the key that signed the packages; RPM
# without its .rpm; a fault's name behind _amd64 is dropped.
repository() {
    local root=$SET/repo/$1 key=$2 from=$SET/rpms/$3 rpm file now=()
    local tree=$root/stable/7/x86_64
    shift 3
    mkdir -p "$tree/Packages" "$root/suse"
    ln -s ../stable "$root/suse/stable"
    for rpm; do
        file=${rpm%_amd64*}
        ln "$from/$rpm.rpm" "$tree/Packages/${file/_/-}.x86_64.rpm"
    done
    createrepo_c --quiet --no-database --simple-md-filenames --revision "${REVISION:-2}" --set-timestamp-to-revision "$tree" 2>/dev/null
    [ "$key" != none ] || return 0
    sign "$tree" "$key"
}

# sign TREE KEY
sign() {
    local now=()
    # An expired key can only sign at a time when it was valid.
    [ "$2" != expired ] || now=(--faked-system-time 20190601T000000)
    GNUPGHOME=$SET/keys/home gpg --batch --yes --quiet "${now[@]}" --digest-algo SHA512 -u "${!2}" --armor --detach-sign \
        -o "$1/repodata/repomd.xml.asc" "$1/repodata/repomd.xml" 2>/dev/null
}

proxy=(datadog-fips-proxy_1.1.10-1_amd64 datadog-fips-proxy_1.1.14-1_amd64)
agents=(datadog-agent_{7.40.1,7.44.1,7.58.2,7.78.1}-1_amd64)
classic=(datadog-agent_{7.40.1,7.44.1,7.58.2}-1_amd64)

repository good signing signing "${agents[@]}" "${proxy[@]}"
repository classic signing signing "${classic[@]}" "${proxy[@]}"
repository old signing signing datadog-agent_7.40.1-1_amd64 "${proxy[@]}"
REVISION=1 repository candidate signing signing "${classic[@]}" datadog-agent_7.59.0{~rc.5,}-1_amd64 "${proxy[@]}"
REVISION=1 repository older signing signing "${classic[@]}" "${proxy[@]}"
repository crash signing signing "${classic[@]}" datadog-agent_7.58.3-1_amd64.crash "${proxy[@]}"
repository postinst signing signing "${classic[@]}" datadog-agent_7.58.3-1_amd64.postinst "${proxy[@]}"
repository stranger stranger signing "${agents[@]}" "${proxy[@]}"
repository expired expired signing "${agents[@]}" "${proxy[@]}"
repository rotated next next "${agents[@]}" "${proxy[@]}"
repository unsigned none signing "${agents[@]}" "${proxy[@]}"
repository tampered signing signing "${agents[@]}" "${proxy[@]}"
repository forged signing signing "${agents[@]}" "${proxy[@]}"
repository tampered-package signing signing "${agents[@]}" "${proxy[@]}"
repository strange-package signing stranger "${agents[@]}" "${proxy[@]}"

# The index is changed after it was signed: the list of packages, or what the signature is over.
primary=$SET/repo/tampered/stable/7/x86_64/repodata/primary.xml.gz
zcat "$primary" | sed 's/A stand-in for tests/A stand-in for tests!/' | gzip -9n > "$primary.new"
mv "$primary.new" "$primary"
sed -i 's/<revision>2</<revision>3</' "$SET/repo/forged/stable/7/x86_64/repodata/repomd.xml"
# One byte of a package is changed; the index is honest.
agent=$SET/repo/tampered-package/stable/7/x86_64/Packages/datadog-agent-7.78.1-1.x86_64.rpm
cp "$agent" "$agent.new"
printf X | dd of="$agent.new" bs=1 seek=20000 conv=notrunc status=none
mv "$agent.new" "$agent"
GNUPGHOME=$SET/keys/home gpgconf --kill all
