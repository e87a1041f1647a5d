#!/bin/bash
# A certificate authority that only lab hosts trust, and one server certificate for the vendor's names.
set -euo pipefail
# shellcheck source=tests/lab/setup/common.sh
. "$(dirname "$0")/common.sh"

rm -rf "$TLS"
mkdir -p "$TLS/db"
cd "$TLS"

names=(keys.test mirror.test "*.mirror.test")
for site in datadoghq.com us3.datadoghq.com us5.datadoghq.com ap1.datadoghq.com datadoghq.eu ddog-gov.com; do
    names+=("$site" "*.$site" "*.agent.$site" "*.logs.$site" "*.profile.$site")
done
san=$(printf 'DNS:%s,' "${names[@]}")

cat > openssl.cnf <<CNF
[ca]
default_ca = lab
[lab]
dir = .
database = db/index
serial = db/serial
new_certs_dir = db
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = dn
[dn]
[authority]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = CA:false
keyUsage = critical,digitalSignature,keyEncipherment
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = ${san%,}
CNF
: > db/index
echo 01 > db/serial
# From yesterday on, so that a host whose clock is set back a little still accepts it.
start=$(date -u -d yesterday +%Y%m%d000000Z)
end=$(date -u -d '2 years' +%Y%m%d000000Z)
request() {
    openssl req -config openssl.cnf -newkey rsa:2048 -nodes -subj "/CN=$2" -keyout "$1.key" -out "$1.csr" 2>/dev/null
}
sign() {
    openssl ca -batch -notext -config openssl.cnf -startdate "$start" -enddate "$end" -in "$1.csr" -out "$1.crt" "${@:2}" 2>/dev/null
}
request ca "ddinstall test lab CA (not a real authority)"
sign ca -selfsign -keyfile ca.key -extensions authority
request server "ddinstall test lab server"
sign server -keyfile ca.key -cert ca.crt -extensions server
openssl verify -CAfile ca.crt server.crt >/dev/null
