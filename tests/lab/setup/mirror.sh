#!/bin/bash
# A private mirror's certificate, by an authority that no host trusts, and the password that it asks for.
set -euo pipefail
# shellcheck source=tests/lab/setup/common.sh
. "$(dirname "$0")/common.sh"

rm -rf "$SET/mirror"
mkdir -p "$SET/mirror"
cd "$SET/mirror"
openssl req -x509 -newkey rsa:2048 -nodes -days 800 -subj "/CN=A private authority (not a real one)" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout ca.key -out ca.crt 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj "/CN=private.test" -keyout server.key -out server.csr 2>/dev/null
printf 'subjectAltName=DNS:private.test\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:false\n' > extensions
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 800 -extfile extensions -out server.crt 2>/dev/null
openssl verify -CAfile ca.crt server.crt >/dev/null
echo 'ops:{PLAIN}m1rror-passw0rd/5ecret' > htpasswd
