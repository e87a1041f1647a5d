#!/bin/bash
# Sets the lab up: tools, certificates, signing keys, stand-in packages, repositories, base systems.
# Idempotent: each part carries a stamp with the hash of its inputs and is built again only when that
# differs. Safe to call from several processes at once.
set -euo pipefail
# shellcheck source=tests/lab/setup/common.sh
. "$(dirname "$0")/setup/common.sh"

full=
[ "${1:-}" != --full ] || full=1
[ "$(id -u)" -eq 0 ] || die "the lab boots systems in name spaces of their own: run it as root"

mkdir -p "$LAB" "$LAB/hosts"
chmod 0755 "$LAB"
exec 9>"$LAB/lock"
flock 9

"$SETUP/tools.sh"
part tls "$(inputs tls.sh)-$(tls_age)" "$SETUP/tls.sh"
part keys "$(inputs keys.sh)" "$SETUP/keys.sh"
part debs "$(inputs debs.sh package.sh ../packages)-$(stamp keys)" "$SETUP/debs.sh"
part repos "$(inputs repos.sh repository.sh)-$(stamp debs)-$(stamp keys)" "$SETUP/repos.sh"
if [ -n "$full" ]; then
    part full "$(inputs full.sh)-$(stamp repos)" "$SETUP/full.sh"
fi
"$SETUP/bases.sh"
# The tests refuse to run against a lab that another checkout has set up differently.
lab_inputs > "$LAB/ready"
