#!/bin/bash
# OpenPGP keys that stand in for the vendor's, and what the key host serves in each of its moods.
# KEYS/fingerprints.env holds one NAME=FINGERPRINT a line.
set -euo pipefail
# shellcheck source=tests/lab/setup/common.sh
. "$(dirname "$0")/common.sh"

keys=$SET/keys
rm -rf "$keys" "$SET/key-host"
mkdir -p "$keys/home"
chmod 0700 "$keys/home"
export GNUPGHOME=$keys/home
trap 'gpgconf --kill all' EXIT

# generate NAME UID CREATED EXPIRES
generate() {
    gpg --batch --quiet --status-file "$keys/status" --generate-key <<PARAMETERS 2>/dev/null
%no-protection
Key-Type: RSA
Key-Length: 3072
Key-Usage: cert,sign
Name-Real: $2
Name-Email: $1@lab.test
Creation-Date: $3
Expire-Date: $4
PARAMETERS
    local fingerprint
    fingerprint=$(sed -n 's/.*KEY_CREATED . \([0-9A-F]*\).*/\1/p' "$keys/status")
    echo "$1=$fingerprint" >> "$keys/fingerprints.env"
    declare -g "$1=$fingerprint"
    gpg --batch --quiet --armor --export "$fingerprint" > "$keys/$1.asc"
    gpg --batch --quiet --export "$fingerprint" > "$keys/$1.gpg"
}
generate signing "Lab stand-in for the packages' signing key" 20240101T000000 0
generate next "Lab stand-in for the next signing key" 20240101T000000 0
generate stranger "A key that nobody trusts" 20240101T000000 0
generate expired "Lab key that has expired" 20180101T000000 2y
generate revoked "Lab key that was revoked" 20240101T000000 0
# shellcheck disable=SC2154 # set by generate
sed 's/^:---/---/' "$GNUPGHOME/openpgp-revocs.d/$revoked.rev" | gpg --batch --quiet --import 2>/dev/null
gpg --batch --quiet --armor --export "$revoked" > "$keys/revoked.asc"
gpg --batch --quiet --export "$revoked" > "$keys/revoked.gpg"
cat "$keys/signing.gpg" "$keys/next.gpg" > "$keys/keyring.gpg"

files=(DATADOG_APT_KEY_{CURRENT,06462314,C0962C7D,F14F620E,382E94DE} DATADOG_RPM_KEY_{CURRENT,4F09D16B,B01082D3,FD4BF915,E09422B3})
serve() {
    mkdir -p "$SET/key-host/$1"
    cp "$keys/$2.asc" "$SET/key-host/$1/$3.public"
}
for mood in stranger expired revoked; do
    for file in "${files[@]}"; do
        serve "$mood" "$mood" "$file"
    done
done
serve good signing DATADOG_APT_KEY_CURRENT
serve good next DATADOG_APT_KEY_06462314
serve good signing DATADOG_APT_KEY_C0962C7D
serve good expired DATADOG_APT_KEY_F14F620E
serve good expired DATADOG_APT_KEY_382E94DE
serve good signing DATADOG_RPM_KEY_CURRENT
serve good next DATADOG_RPM_KEY_4F09D16B
serve good signing DATADOG_RPM_KEY_B01082D3
serve good expired DATADOG_RPM_KEY_FD4BF915
serve good expired DATADOG_RPM_KEY_E09422B3
mkdir -p "$SET/key-host/notfound" "$SET/key-host/html" "$SET/key-host/empty"
for file in "${files[@]}"; do
    echo '<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in to the guest network.</body></html>' \
        > "$SET/key-host/html/$file.public"
    : > "$SET/key-host/empty/$file.public"
done
