#!/usr/bin/perl
# Prints some 500 further settings, so that the example has the real one's size and its traps: the
# same key (`enabled: false`) in every section, sections four levels deep, prose that looks like YAML.
use strict;
use warnings;

my @products = qw(inventories dogstatsd jmx_telemetry_config container_lifecycle container_image sbom
    orchestrator_explorer cluster_agent_config external_metrics_provider admission_controller
    autodiscovery_config kubelet_config docker_config ecs_config cloud_foundry_config cluster_checks
    otlp_config evp_proxy_config database_monitoring synthetics_config network_path service_discovery
    gpu_config software_inventory health_platform installer_config private_action_runner);
my @numbers = (['timeout', 'The longest time for one call, in seconds.'], ['workers', 'How many work side by side.'],
    ['buffer_size', 'How many items are held before they are sent.'], ['max_retries', 'How often a failed call is tried again.'],
    ['flush_interval', 'Seconds between two deliveries.'], ['queue_size', 'The longest queue; what comes then is dropped.'],
    ['port', 'The port that is listened on; 0 for none. Nothing is listened on while the part is off.'],
    ['cache_expiration', 'Seconds until what was learned about a workload is forgotten and asked for once more.'],
    ['payload_max_bytes', 'The largest payload. A larger one is cut in two before it is sent.']);
my @words = (['log_level', 'info', 'How much is logged: one of trace, debug, info, warn, error, critical, off.'],
    ['socket_path', '/var/run/datadog/feed.socket', 'The socket that data arrives on. The Agent makes it when it starts.'],
    ['compression_kind', 'zstd', 'How payloads are compressed: one of none, zlib, zstd.']);

for my $n (0 .. $#products) {
    my $p = $products[$n];
    my $title = join ' ', map { ucfirst } split /_/, $p =~ s/_config$//r;
    print "@ $title Configuration\n" if $n % 2 == 0;
    print "$p: ~custom object", $n % 3 == 2 ? " nodoc\n" : "\n| Settings of the part of the Agent for $p.\n";
    # Prose that a careless editor takes for settings.
    print "| For example:\n| $p:\n|   enabled: true\n" if $n % 6 == 1;
    leaf(1, 'enabled', 'false', 'boolean', "Whether $p works at all. Each feature below has a switch of its own.");
    leaf(1, $_->[0], 2 + ($n * 7 + length $_->[0]) % 60, 'integer', $_->[1],
        'A larger value costs memory; a smaller one loses data when the intake is slow. Change it only',
        'where the status page reports drops.') for @numbers;
    leaf(1, @$_[0, 1], 'string', $_->[2]) for @words;
    print "  exclude: ~list of strings\n  | Names that are left out, as patterns.\n  - \"$p-*\"\n  - 'tmp:*'\n";
    print "  features: ~custom object nodoc\n";
    for my $feature (qw(sampling enrichment correlation)) {
        print "    $feature: ~custom object\n    | The $feature of $p.\n";
        leaf(3, 'enabled', 'false', 'boolean', "Whether $feature is done.");
        leaf(3, 'ratio', '0.5', 'float', 'The share of the data that it is done for, from 0 to 1.');
    }
}

sub leaf {
    my ($depth, $key, $value, $type, @prose) = @_;
    my $pad = '  ' x $depth;
    print "$pad$key: $value ~$type\n", map { "$pad| $_\n" } @prose;
}
