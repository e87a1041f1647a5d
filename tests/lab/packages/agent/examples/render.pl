#!/usr/bin/perl
# Prints an example configuration file from a list of settings.
#   render.pl classic|new FILE.settings…
# The vendor ships its examples in two layouts. In both, every setting stands commented out below its
# documentation. "classic" indents the comment signs with the nesting; "new" keeps them in column 0.
#
# A settings file, by lines (two spaces of indentation for each level):
#   @ Title                a section heading
#   key: value ~type flags a setting; its children and list items stand below it, deeper
#   | text                 a line of prose of the setting above it
#   - item                 a list item of the setting above it
# Flags: required; live (not commented out); nodoc (no documentation block); bare (nodoc, and in the
# classic layout directly under its parent, which is a block); classic or new (in that layout only).
use strict;
use warnings;

my ($layout, @files) = @ARGV;
die "usage: render.pl classic|new FILE…\n" unless @files && $layout =~ /^(classic|new)$/;

my @path;
for my $file (@files) {
    open my $in, '<', $file or die "$file: $!\n";
    my @settings;
    while (my $line = <$in>) {
        chomp $line;
        next if $line eq '' || $line =~ /^%/;
        my ($pad, $text) = $line =~ /^( *)(.*)$/;
        my $depth = length($pad) / 2;
        if ($text =~ /^\@ (.*)/) { push @settings, { section => $1 } }
        elsif ($text =~ /^\| ?(.*)/) { push @{ $settings[-1]{prose} }, $1 }
        elsif ($text =~ /^- (.*)/) { push @{ $settings[-1]{items} }, $1 }
        elsif ($text =~ /^([^:]+):\s*(.*?)\s*~(.*)$/) {
            my ($key, $value, $rest) = ($1, $2, $3);
            my %flags;
            $flags{$1} = 1 while $rest =~ s/\s+(required|live|nodoc|bare|block|classic|new)\b//;
            push @settings, { key => $key, value => $value, type => $rest, depth => $depth, %flags };
        }
        else { die "$file:$.: what is this? $line\n" }
    }
    for my $i (0 .. $#settings) {
        # The last line of a block of bare settings.
        $settings[$i]{ends_block} = $settings[$i]{bare} && !($settings[ $i + 1 ] || {})->{bare};
        print_setting($settings[$i]);
    }
}

sub print_setting {
    my ($s) = @_;
    if (defined $s->{section}) {
        my $bar = '#' x (length($s->{section}) + 6);
        print "$bar\n## $s->{section} ##\n$bar\n\n";
        return;
    }
    $#path = $s->{depth} - 1;
    $path[ $s->{depth} ] = $s->{key};
    return if $s->{classic} && $layout eq 'new' || $s->{new} && $layout eq 'classic';

    my $inner = '  ' x $s->{depth};
    # Classic: "  ## text", "  # key:". New: "## text" on top and "#   # text" below, "#   key:".
    my ($doc, $out, $empty)
        = $layout eq 'classic' ? ("$inner##", "$inner# ", "$inner#")
        : $s->{depth}          ? ("# $inner#", "# $inner", '#')
        :                        ('##', '# ', '#');
    if ($s->{bare} && $layout eq 'classic') {
        # Below its parent without a blank line, behind the parent's comment sign.
        my $outer = '  ' x ($s->{depth} - 1);
        print "$outer#   $s->{key}:", ($s->{value} eq '' ? '' : " $s->{value}"), "\n";
        print "$outer#     - $_\n" for @{ $s->{items} || [] };
        print "\n" if $s->{ends_block};
        return;
    }
    my $value = $s->{value};
    my $quoted = $layout eq 'new' && $s->{type} eq 'string' && $value ne '' && $value !~ /^["'<]/;
    $value = "\"$value\"" if $quoted;

    unless ($s->{nodoc} || $s->{bare}) {
        my $env = 'DD_' . uc join '_', map { s/[^A-Za-z0-9]/_/gr } @path;
        my $need = $s->{required} ? 'required' : 'optional';
        my $default = $value eq '' || $value =~ /^</ ? '' : " - default: $value";
        print "$doc \@param $s->{key} - $s->{type} - $need$default\n";
        print "$doc \@env $env - $s->{type} - $need$default\n" unless $s->{type} eq 'custom object';
        print $_ eq '' ? "$doc\n" : "$doc $_\n" for @{ $s->{prose} || [] };
        print "$empty\n";
    }
    my $line = ($s->{live} ? '' : $out) . "$s->{key}:" . ($value eq '' ? '' : " $value") . "\n";
    print $line;
    print "$out  - $_\n" for @{ $s->{items} || [] };
    print "\n" unless $s->{block} && $layout eq 'classic';
}
