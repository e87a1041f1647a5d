#!/usr/bin/perl
# A repository with faults, for tests: http://127.0.0.4/FAULT/PATH answers as PATH of the good one does, but for its fault.
#   faults.pl HOST     HOST is the name of the good one, such as apt.datadoghq.com
#     endless          the signed index never ends
#     packages         the list of packages never ends
#     drip             the signed index comes at two bytes a second, and never ends
#     halt             a package stops half way, and the connection stays open
#     late             the package of the FIPS proxy alone does
#     quarter1 to 3    a file ends after so many quarters, and the connection is closed
use strict;
use warnings;
use IO::Socket::INET;

my $host = shift or die "usage: faults.pl HOST\n";
my %faulty = (
    endless => qr{/(?:InRelease|repomd\.xml)$},
    drip => qr{/(?:InRelease|repomd\.xml)$},
    packages => qr{/(?:Packages|[^/]*primary\.xml)[^/]*$},
    halt => qr{\.(?:deb|rpm)$},
    late => qr{/datadog-fips-proxy[^/]*\.(?:deb|rpm)$},
    map { ("quarter$_" => qr{.}) } 1 .. 3,
);
my $server = IO::Socket::INET->new(Listen => 20, LocalAddr => '127.0.0.4', LocalPort => 80, ReuseAddr => 1) or die "$!\n";
$SIG{CHLD} = 'IGNORE';
while (1) {
    my $client = $server->accept or next;
    next if fork;
    answer($client);
    exit;
}

sub answer {
    my $client = shift;
    $client->autoflush(1);
    my ($request, $range) = (scalar <$client> // '', '');
    while (defined(my $line = <$client>)) {
        last if $line =~ /^\s*$/;
        $range = $line if $line =~ /^range:/i;
    }
    my ($verb, $fault, $path) = $request =~ m{^(GET|HEAD) /(\w+)(/\S*)} or return;
    my $wrong = $verb eq 'GET' && $faulty{$fault} && $path =~ $faulty{$fault};
    my $part = $fault =~ /^(?:halt|late)$/ ? 1 / 2 : $fault =~ /^quarter(\d)$/ ? $1 / 4 : undef;
    if ($wrong && !$part) {
        my $piece = $fault eq 'drip' ? "x\n" : "Origin: x\n" x 5000;
        print $client "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        while (printf $client "%x\r\n%s\r\n", length $piece, $piece) {
            sleep 1 if $fault eq 'drip';
        }
        return;
    }
    my $good = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => 80) or return;
    print $good "$verb $path HTTP/1.0\r\nHost: $host\r\n$range\r\n";
    local $/;
    my $answer = <$good> // '';
    my $head = index($answer, "\r\n\r\n") + 4;
    print $client $wrong ? substr($answer, 0, $head + int((length($answer) - $head) * $part)) : $answer;
    sleep 600 if $wrong && $fault !~ /^quarter/;
}
