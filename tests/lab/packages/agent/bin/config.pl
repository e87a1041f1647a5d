# Part of a stand-in for the Datadog Agent (tests/lab). Reads a YAML file well enough for a daemon that
# only needs a few scalars: nested and dotted keys, comments, quotes. The last of two equal keys wins.
use strict;
use warnings;

# A flat map "a.b.c" => "text", or a death with the line that makes no sense.
sub read_config {
    my ($path) = @_;
    open my $in, '<', $path or die "unable to read $path: $!\n";
    my (%flat, @stack, $block);
    while (my $line = <$in>) {
        $line =~ s/[\r\n]+$//;
        my ($pad) = $line =~ /^( *)/;
        if (defined $block) {
            next if $line =~ /^\s*$/ || length $pad > $block;
            undef $block;
        }
        next if $line =~ /^\s*(#|$)/ || $line =~ /^(---|\.\.\.)/;
        die "error parsing $path: yaml: line $.: found character that cannot start any token\n" if $line =~ /^ *\t/;
        pop @stack while @stack && $stack[-1][0] >= length $pad;
        next if $line =~ /^ *-( |$)/ || (@stack && $stack[-1][2]);
        my ($key, $value) = $line =~ /^ *("[^"]*"|'[^']*'|[^\s"'\[\]{}][^:]*?)\s*:(?:\s+(.*))?$/
            or die "error parsing $path: yaml: line $.: could not find expected ':'\n";
        $value = '' unless defined $value;
        $key =~ s/^(["'])(.*)\1$/$2/;
        # A quoted text, or everything up to a comment.
        $value =~ s/^(?:"((?:[^"\\]|\\.)*)"|'((?:[^']|'')*)')\s*(?:#.*)?$/defined $1 ? $1 : $2/e
            or $value =~ s/(^|\s+)#.*$//;
        die "error parsing $path: yaml: line $.: did not find expected ',' or ']'\n"
            if $value =~ /^\[[^\]]*$/ || $value =~ /^\{[^}]*$/ || $value =~ /^"[^"]*$/;
        $block = length $pad if $value =~ /^[|>][-+0-9]*$/;
        push @stack, [length $pad, $key];
        $flat{ lc join '.', map { $_->[1] } @stack } = $value unless $value eq '' || $value eq 'null' || $value eq '~';
    }
    return \%flat;
}

sub is_true { my ($value) = @_; return defined $value && $value =~ /^(true|yes|on|1)$/i ? 1 : 0 }

sub write_pid {
    my ($path) = @_;
    open my $out, '>', $path or return;
    print $out "$$\n";
}

sub log_line {
    my ($file, $name, $level, $text) = @_;
    my @t = gmtime;
    my $when = sprintf '%04d-%02d-%02d %02d:%02d:%02d UTC', $t[5] + 1900, $t[4] + 1, @t[3, 2, 1, 0];
    open my $out, '>>', "/var/log/datadog/$file.log" or return;
    print $out "$when | $name | $level | $text\n";
}

1;
