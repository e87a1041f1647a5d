#!/usr/bin/perl
# Takes a lock as package managers do, and keeps it, for tests.
#   lock.pl FILE SECONDS
use strict;
use warnings;
use Fcntl;

my ($file, $seconds) = @ARGV;
open my $lock, '>>', $file or die "$file: $!\n";
# struct flock of x86_64: type, whence, start, length, process.
my $wish = pack 's s x4 q q l x4', F_WRLCK, 0, 0, 0, 0;
fcntl($lock, F_SETLK, $wish) or die "$file: $!\n";
open my $sign, '>', '/run/locked' or die "$!\n";
close $sign;
sleep $seconds;
