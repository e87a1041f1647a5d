#!/bin/bash
# An Agent of the real one's size for the benchmark: 15,000 files, 720 MB unpacked, some 150 MB packed.
# The same bytes each time: a stream cipher over zeros for what does not compress, text for what does.
set -euo pipefail
# shellcheck source=tests/lab/setup/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck disable=SC1091 # written by keys.sh
. "$SET/keys/fingerprints.env"
# shellcheck source=tests/lab/setup/package.sh
. "$SETUP/package.sh"
# shellcheck source=tests/lab/setup/repository.sh
. "$SETUP/repository.sh"

BULK=$WORK/bulk
mkdir "$BULK"
# The stream has no end; perl stops reading it.
{ openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null || true; } | perl -e '
    my ($folder, $files) = @ARGV;
    my @line = map { "    def part_$_(self, value):\n        return self.table[value] + $_\n" } 0 .. 997;
    my $seed = 1;
    for my $n (0 .. $files - 1) {
        # Many small files and some large ones, as in a tree of libraries and scripts.
        $seed = ($seed * 1103515245 + 12345) % 2147483648;
        my $size = $n % 50 ? 2_000 + $seed % 32_000 : 1_250_000 + $seed % 540_000;
        my $dir = sprintf "%s/part%02d/%02d", $folder, $n % 40, $n / 40 % 25;
        if (!-d $dir) { mkdir $dir =~ s{/[^/]+$}{}r; mkdir $dir }
        read STDIN, my $random, int($size * 0.20) or die "no random bytes";
        my $text = "";
        $text .= $line[($n + length $text) % @line] while length $text < $size * 0.80;
        open my $out, ">", "$dir/lib$n.so" or die "$dir: $!";
        print $out $random, $text;
        close $out or die "$dir: $!";
    }' "$BULK" 15000

rm -rf "$SET/repo/full" "$SET"/debs/*.full.deb
# xz at its lowest level, as many threads as there are: the real one is packed harder and unpacks as fast.
COMPRESSION=-Zxz LEVEL=1 DPKG_DEB_THREADS_MAX=2 agent 7.58.9 classic full
# shellcheck disable=SC2154 # from fingerprints.env
repository full "$signing" datadog-agent_7.58.9-1_amd64.full datadog-fips-proxy_1.1.14-1_amd64 datadog-signing-keys_1.4.0-1_amd64
