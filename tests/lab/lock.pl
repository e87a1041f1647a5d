#!/usr/bin/perl
# Takes a lock as package managers do, and keeps it, for tests.
#   lock.pl FILE SECONDS
use strict;
use warnings;
use Fcntl;
use File::Basename;
use File::Path qw(make_path);
use IO::Handle;

my ($file, $seconds) = @ARGV;
make_path(dirname($file));
my $is_number = $file =~ /[.]pid$/;
open(my $lock, $is_number ? '>' : '>>', $file) or die "$file: $!\n";
if ($is_number) {
    # There the number in the file is the lock.
    $lock->autoflush(1);
    print {$lock} $$;
}
if ($is_number) {
    open my $sign, '>', '/run/locked' or die "$!\n";
    close $sign;
    sleep $seconds;
    exit;
}
# struct flock of x86_64: type, whence, start, length, process.
my $wish = pack 's s x4 q q l x4', F_WRLCK, 0, 0, 0, 0;
fcntl($lock, F_SETLK, $wish) or die "$file: $!\n";
open my $sign, '>', '/run/locked' or die "$!\n";
close $sign;
sleep $seconds;
