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

# Part of the stand-in, too: what the real Agent does with ENC[...] handles. The helper's rights are judged, it is asked
# once for all handles of the file, and its answers take their places. Which handle is used where, or a death with the
# Agent's words.
sub resolve_secrets {
    my ($config, $path, $asks_for_owner) = @_;
    my %used;
    for my $key (grep { !/^secret_/ } keys %$config) { $used{$1} = $key if $config->{$key} =~ /^[ \t]*ENC\[(.*)\][ \t]*$/s }
    my $command = $config->{secret_backend_command};
    return {} unless %used && $command;
    my ($mode, $uid) = (stat $command)[2, 4];
    die "invalid executable '$command': can't stat it: no such file or directory\n" unless defined $mode;
    my $group = is_true($config->{secret_backend_command_allow_group_exec_perm});
    die "invalid executable '$command': 'group' or 'others' have rights on it\n" if $mode & ($group ? 0027 : 0077);
    die "invalid executable: '$command' isn't owned by this user\n" if $asks_for_owner && !$group && $uid != (getpwnam 'dd-agent')[2];
    die "invalid executable '$command': can't access it\n" unless -x $command;
    require IPC::Open2;
    my $list = join ', ', map { my $h = $_; $h =~ s/([\\"])/\\$1/g; "\"$h\"" } sort keys %used;
    my $pid = IPC::Open2::open2(my $out, my $in, $command, list_of($path, 'secret_backend_arguments'));
    print $in qq({"version": "1.0", "secrets": [$list]});
    close $in;
    my $answer = do { local $/; <$out> };
    waitpid $pid, 0;
    die "error while running '$command': exit status " . ($? >> 8) . "\n" if $?;
    for my $handle (keys %used) {
        (my $quoted = $handle) =~ s/([\\"])/\\$1/g;
        $answer =~ /"\Q$quoted\E"\s*:\s*\{\s*"value"\s*:\s*"((?:[^"\\]|\\.)*)"/
            or die "secret handle '$handle' was not resolved by the secret_backend_command\n";
        $config->{ $used{$handle} } = $1;
    }
    return \%used;
}

# The items of a list at the top of a file, on one line or below it.
sub list_of {
    my ($path, $key) = @_;
    open my $in, '<', $path or return;
    my ($inside, @items);
    while (<$in>) {
        if (/^\Q$key\E:\s*\[(.*)\]/) { @items = split /\s*,\s*/, $1 }
        elsif (/^\Q$key\E:/) { $inside = 1 }
        elsif ($inside && /^\s*- (.*?)\s*$/) { push @items, $1 }
        elsif (!/^\s*(#|$)/) { $inside = 0 }
    }
    return map { s/^(["'])(.*)\1$/$2/r } @items;
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
