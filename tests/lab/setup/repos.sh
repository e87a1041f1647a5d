#!/bin/bash
# Signed apt repositories, one document root for each variant, from the packages in DEBS.
set -euo pipefail
# shellcheck source=tests/lab/setup/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck disable=SC1091 # written by keys.sh
. "$SET/keys/fingerprints.env"
# shellcheck source=tests/lab/setup/repository.sh
. "$SETUP/repository.sh"

proxy=(datadog-fips-proxy_1.1.10-1_amd64 datadog-fips-proxy_1.1.14-1_amd64 datadog-signing-keys_1.4.0-1_amd64)
agents=(datadog-agent_{7.40.1,7.44.1,7.58.2,7.78.1}-1_amd64)
classic=(datadog-agent_{7.40.1,7.44.1,7.58.2}-1_amd64)

rm -rf "$SET/repo"
# shellcheck disable=SC2154 # from fingerprints.env
{
    # apt takes no index that is older than the one it knows.
    DATE="Wed, 01 Jan 2025 00:00:00 UTC" repository older "$signing" "${classic[@]}" "${proxy[@]}"
    DATE="Sun, 01 Jun 2025 00:00:00 UTC" repository classic "$signing" "${classic[@]}" "${proxy[@]}"
    DATE="Sun, 01 Jun 2025 00:00:00 UTC" repository candidate "$signing" "${classic[@]}" datadog-agent_7.59.0{~rc.5,}-1_amd64 "${proxy[@]}"
    repository good "$signing" "${agents[@]}" "${proxy[@]}"
    repository old "$signing" datadog-agent_7.40.1-1_amd64 "${proxy[@]}"
    repository crash "$signing" "${classic[@]}" datadog-agent_7.58.3-1_amd64.crash "${proxy[@]}"
    repository postinst "$signing" "${classic[@]}" datadog-agent_7.58.3-1_amd64.postinst "${proxy[@]}"
    repository rotated "$next" "${agents[@]}" "${proxy[@]}"
    repository stranger "$stranger" "${agents[@]}" "${proxy[@]}"
    repository expired "$expired" "${agents[@]}" "${proxy[@]}"
    repository unsigned none "${agents[@]}" "${proxy[@]}"
    repository tampered "$signing" "${agents[@]}" "${proxy[@]}"
    repository tampered-package "$signing" "${agents[@]}" "${proxy[@]}"
}
mkdir -p "$SET/repo/missing"

# The index is changed after it was signed: to another size and, compressed or not, other hashes.
index=$SET/repo/tampered/dists/stable/7/binary-amd64/Packages
sed -i 's/^Priority: extra$/Priority: important/' "$index"
gzip -9nc "$index" > "$index.gz"
# One byte of a package is changed; the index is honest.
agent=$SET/repo/tampered-package/pool/d/da/datadog-agent_7.78.1-1_amd64.deb
cp "$agent" "$agent.new"
printf X | dd of="$agent.new" bs=1 seek=2000 conv=notrunc status=none
mv "$agent.new" "$agent"
