#!/bin/sh
# Writes a release's version, address, sums and signing key into install.sh, which goes to standard output.
#   packaging/stamp.sh VERSION BASE_URL SHA256SUMS [KEY]     KEY: the public OpenPGP key, not armoured
set -eu
[ $# -ge 3 ] || { sed -n '2,3s/^# \{0,1\}//p' "$0" >&2; exit 2; }
key=''
[ -z "${4-}" ] || key=$(base64 -w 0 < "$4")
# By its first byte: a secret key or an armoured one would be handed to everybody, or be of use to nobody.
case $key in '' | m* | x[g-v]*) ;; *) echo "$4 is no public key of OpenPGP, or armoured: gpg --export makes it" >&2 && exit 2 ;; esac
case $2 in
    *\'*) false ;;
    https://?* | file:///?*) ;;
    *) false ;;
esac || { echo "$2 must begin with https:// or file:///, and hold no quote" >&2 && exit 2; }
sums=$(grep -E '^[0-9a-f]{64}  ddinstall-(x86_64|aarch64)$' "$3")
here=$(dirname -- "$0")
VERSION=$1 BASE=${2%/} SUMS=$sums KEY=$key awk '
    function stamp(name, value) { print name "=\047" value "\047"; stamped++ }
    $0 == "version=\047\047" { stamp("version", ENVIRON["VERSION"]); next }
    $0 == "base=\047\047" { stamp("base", ENVIRON["BASE"]); next }
    $0 == "sums=\047\047" { stamp("sums", ENVIRON["SUMS"]); next }
    $0 == "signing_key=\047\047" { stamp("signing_key", ENVIRON["KEY"]); next }
    { print }
    END { exit stamped == 4 ? 0 : 1 }
' "$here/../install.sh"
