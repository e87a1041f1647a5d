#!/bin/bash
# Writes what is linked into the binaries: a CycloneDX bill of materials, and the licences' texts.
#   packaging/sbom.sh BILL LICENCES        two files; SOURCE_DATE_EPOCH is the bill's time
set -euo pipefail
export LC_ALL=C
[ $# -eq 2 ] || { sed -n '2,3s/^# \{0,1\}//p' "$0" >&2; exit 2; }
bill=$(realpath "$1") licences=$(realpath "$2")
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Cargo.lock as JSON: name, version and checksum.
awk '
    BEGIN { print "[{}" }
    /^\[\[package\]\]/ { if (n++) print "}"; print ",{"; first = 1; next }
    n && /^(name|version|checksum) = / { print (first ? "" : ",") "\"" $1 "\": " $3; first = 0 }
    END { print "}]" }' Cargo.lock | jq '.[1:]' > "$scratch/lock.json"
targets=(x86_64-unknown-linux-musl aarch64-unknown-linux-musl)
cargo tree --locked -e normal,no-proc-macro --prefix none "${targets[@]/#/--target=}" > "$scratch/tree"
cargo metadata --format-version 1 --locked "${targets[@]/#/--filter-platform=}" > "$scratch/metadata.json"
version=$(jq -r '.resolve.root as $root | .packages[] | select(.id == $root) | .version' "$scratch/metadata.json")
libc=$(rustc --print target-libdir --target x86_64-unknown-linux-musl)/self-contained/libc.a
musl=$(grep -a -o -m 1 -P '(?<=\0)1\.[0-9]+\.[0-9]+(?=\0)' "$libc" | tr -d '\0' | head -n 1)
rust=$(rustc --version | cut -d ' ' -f 2)
jq -S --arg version "$version" --arg time "$(date -u -d "@${SOURCE_DATE_EPOCH:-0}" +%FT%TZ)" --arg rust "$rust" \
    --arg musl "${musl:?"the version of musl cannot be found in $libc"}" --rawfile tree "$scratch/tree" \
    --slurpfile lock "$scratch/lock.json" -f packaging/sbom.jq "$scratch/metadata.json" > "$bill"

# Each text once, with the libraries that it came with.
shopt -s nocaseglob nullglob extglob
declare -A users number text
without=()
: > "$scratch/files"
while IFS=$'\t' read -r name folder; do
    found=
    for file in "$folder"/@(licen[cs]e|copying|notice|copyright|unlicense)*; do
        [[ -f $file && $file != *.rs ]] || continue
        printf '%s\t%s\n' "$name" "$file" >> "$scratch/files"
        found=1
    done
    [ -n "$found" ] || without+=("  $name")
done < <(jq -r --slurpfile bill "$bill" '
    ($bill[0].components | map({key: "\(.name)@\(.version)", value: true}) | from_entries) as $linked
    | .packages[] | select($linked["\(.name)@\(.version)"])
    | "\(.name) \(.version) (\(.license // "see below"))\t\(.manifest_path | rtrimstr("/Cargo.toml"))"' \
    "$scratch/metadata.json" | sort)
while IFS=$'\t' read -r sum name file; do
    sum=${sum%% *}
    users[$sum]+="  $name"$'\n'
    number[$sum]=$((${number[$sum]:-0} + 1))
    text[$sum]=$file
done < <(paste <(cut -f 2 "$scratch/files" | tr '\n' '\0' | xargs -0 sha256sum --) "$scratch/files")
{
    echo "ddinstall is one static binary. These libraries are part of it, under the licences that follow."
    echo "It also holds Rust's standard library $rust (MIT OR Apache-2.0) and musl $musl (MIT)."
    if [ ${#without[@]} -gt 0 ]; then
        printf '\nThese came without a text; their licence is the one in brackets, whose text stands below:\n'
        printf '%s\n' "${without[@]}"
    fi
    # Those of most libraries first.
    while read -r _ sum; do
        printf '\n%s\n%s\n%s\n' "------------------------------------------------------------------------------" \
            "${users[$sum]}" "$(< "${text[$sum]}")"
    done < <(for sum in "${!number[@]}"; do echo "${number[$sum]} $sum"; done | sort -k 1,1nr -k 2)
} > "$licences"
