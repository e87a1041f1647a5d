# Turns `cargo metadata` into a CycloneDX bill of materials of what is linked into the binary.
# --arg version V, --arg time T (RFC 3339), --arg rust and --arg musl their versions;
# --rawfile tree: `cargo tree` of what is linked; --slurpfile lock: name, version and checksum of every package in Cargo.lock
def purl: "pkg:cargo/\(.name)@\(.version)";
def licence: if .license then {licenses: [{expression: (.license | gsub("\\s*/\\s*"; " OR "))}]} else {} end;
. as $metadata
| ($lock[0] | map({key: "\(.name)@\(.version)", value: .checksum}) | from_entries) as $sums
| ($metadata.packages | map({key: .id, value: .}) | from_entries) as $packages
| ($metadata.resolve.nodes | map({key: .id, value: .}) | from_entries) as $nodes
# What is linked: no development and build dependencies, no macros, no features that only tests turn on.
| ($tree | split("\n") | map(split(" ") | select(length > 1) | {key: "\(.[0])@\(.[1][1:])", value: true}) | from_entries) as $in_tree
| ([$metadata.packages[] | select($in_tree["\(.name)@\(.version)"]) | {key: .id, value: true}] | from_entries) as $linked
| def needed($id): [$nodes[$id].deps[] | select(any(.dep_kinds[]; .kind == null)) | .pkg | select($linked[.])];
  # Both come with the toolchain, and so from no registry.
  [
    {
      type: "library", "bom-ref": "pkg:generic/musl@\($musl)", name: "musl", version: $musl, purl: "pkg:generic/musl@\($musl)",
      cpe: "cpe:2.3:a:musl-libc:musl:\($musl):*:*:*:*:*:*:*", licenses: [{expression: "MIT"}]
    },
    {
      type: "library", "bom-ref": "pkg:generic/rust-std@\($rust)", name: "rust-std", version: $rust,
      purl: "pkg:generic/rust-std@\($rust)", licenses: [{expression: "MIT OR Apache-2.0"}]
    }
  ] as $toolchain
| {
    "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      timestamp: $time,
      component: (
        $packages[$metadata.resolve.root]
        | {type: "application", "bom-ref": purl, name, version: $version, description, purl: purl} + licence
      )
    },
    components: (
      $toolchain + [
        $linked | keys[] | select(. != $metadata.resolve.root) | $packages[.]
        | {type: "library", "bom-ref": purl, name, version, purl: purl} + licence
          + ($sums["\(.name)@\(.version)"] as $sum | if $sum then {hashes: [{alg: "SHA-256", content: $sum}]} else {} end)
      ] | sort_by(.purl)
    ),
    dependencies: (
      [
        $linked | keys[] | . as $id
        | {
            ref: ($packages[$id] | purl),
            dependsOn: (
              [needed($id)[] | $packages[.] | purl]
              + (if $id == $metadata.resolve.root then [$toolchain[].purl] else [] end) | unique
            )
          }
      ] + [$toolchain[] | {ref: .purl, dependsOn: []}] | sort_by(.ref)
    )
  }
