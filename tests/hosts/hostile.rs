//! Folders of dd-agent's are hostile: what is planted there, or swapped in while we write, is never written, owned or read.

use super::common::*;
use crate::lab::{Host, Suite};

/// All that an install writes, but for its log and its state.
const WRITTEN: [&str; 8] = [
    DATADOG,
    SYSPROBE,
    SECURITY,
    PROXY_LOGS,
    PROXY_CFG,
    "/etc/datadog-agent/install_info",
    "/etc/apt/sources.list.d/datadog.list",
    "/var/lib/ddinstall/receipt.json",
];
const PLANTED: [&str; 5] = [
    "ln -s /etc/shadow \"$1\"",
    "ln -s /nowhere/at/all \"$1\"",
    "ln /etc/shadow \"$1\"",
    "mkfifo -m 666 \"$1\"",
    "mkdir \"$1\"",
];
const SECRET: &str = "5ha0ced5ecret";
const OPERATORS: &str = "api_key: 0ddba11cafe5ca1ab1edecafbadc0ffee\nsite: ddog-gov.com\n";

fn long() -> bool {
    std::env::var_os("DDINSTALL_LONG").is_some_and(|v| v == "1")
}

fn host() -> Host {
    let host =
        Host::fresh(Suite::Bookworm).with_agent("7.58.2").file(DATADOG, OPERATORS, "dd-agent:dd-agent", 0o640).boot();
    host.sh(&format!("echo 'victim:$6${SECRET}:1::::::' >> /etc/shadow"));
    host
}

/// Content, owner, mode and number of names.
fn shadow(host: &Host) -> String {
    host.sh("sha256sum /etc/shadow; stat -c '%U:%G %a %h' /etc/shadow")
}

fn nothing_was_read(host: &Host) {
    let places = "/etc/datadog-agent /etc/datadog-fips-proxy /etc/apt /var/lib/ddinstall /var/log/ddinstall";
    assert_eq!(host.sh(&format!("grep -rlsI -D skip {SECRET} {places} || true")), "");
}

#[test]
fn what_is_planted_is_left_alone() {
    let host = host();
    let before = shadow(&host);
    for (number, path) in WRITTEN.iter().enumerate() {
        for (kind, plant) in PLANTED.iter().enumerate() {
            // Each path with two kinds, each kind with three paths at the least.
            if !long() && kind != number % 5 && kind != (number + 2) % 5 {
                continue;
            }
            let made = "mkdir -p \"$(dirname \"$1\")\"; if test -e \"$1\"; then mv \"$1\" /root/away; fi";
            host.command(&["sh", "-ec", &format!("{made}; {plant}"), "sh", path]).run().exits(0);
            let run = host.asked(&["install"]).run();
            // A link that root alone can have made may be followed to be read, never to be written.
            assert!(matches!(run.status, Some(4 | 7)), "{plant}: {path}: {run}");
            assert!(run.stderr.contains("nothing was changed"), "{plant}: {path}: {run}");
            assert!(!format!("{run}").contains(SECRET), "{plant}: {path}: {run}");
            assert!(run.seconds < 120.0, "{plant}: {path}: {run}");
            let unplant = "rm -rf \"$1\"; if test -e /root/away; then mv /root/away \"$1\"; fi";
            host.command(&["sh", "-ec", unplant, "sh", path]).run().exits(0);
            assert_eq!(shadow(&host), before, "{plant}: {path}: {run}");
            nothing_was_read(&host);
        }
    }
    host.install().exits(0);
    host.verify().exits(0);
    assert_eq!(shadow(&host), before);
}

/// Exchanges a file with a link, a hard link and a FIFO, again and again, as no more than renames can do it.
const SWAPPER: &str = r#"
use POSIX ();
my ($file) = @ARGV;
my $at = "$file.decoy";
sub exchange { syscall(316, -100, $file, -100, $at, 2) == 0 }
my @decoys = (
    sub { symlink "/etc/shadow", $at },
    sub { link "/etc/shadow", $at },
    sub { POSIX::mkfifo($at, 0666) },
    sub { symlink "/nowhere/at/all", $at },
);
my $swaps = 0;
my $stop = 0;
$SIG{TERM} = sub { $stop = 1 };
until ($stop) {
    for my $decoy (@decoys) {
        unlink $at;
        $decoy->() or next;
        exchange() or next;
        select undef, undef, undef, 0.0001 + rand 0.002;
        # The decoy may have been replaced by what was written: then that stays.
        if (-l $file || -p $file || (stat $file)[3] != 1) { exchange() }
        $swaps++;
        select undef, undef, undef, rand 0.004;
    }
}
unlink $at;
open my $count, ">", "/root/swaps" or die;
print $count $swaps;
"#;

#[test]
fn what_is_swapped_in_is_left_alone() {
    let host = host();
    let before = shadow(&host);
    let (writes, installs) = if long() { (10_000, 20) } else { (600, 2) };
    host.write("/root/swapper.pl", SWAPPER, "root:root", 0o600);
    host.sh(&format!("systemd-run -q --unit=swapper perl /root/swapper.pl {DATADOG}"));
    let counts = host.sh(&format!(
        "n=0; while [ $n -lt {writes} ]; do n=$((n+1)); s=0; \
         ddinstall config set {DATADOG} env=e$n > /dev/null 2>> /root/said || s=$?; echo $s; done | sort | uniq -c"
    ));
    let of = |status: &str| -> usize {
        let mut words = counts.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        words.find(|words| words.get(1) == Some(&status)).and_then(|words| words[0].parse().ok()).unwrap_or(0)
    };
    // Refused, or written: nothing else.
    assert_eq!(of("0") + of("4"), writes, "{counts}\n{}", host.sh("sort /root/said | uniq -c | sort -n | tail -n 20"));
    for number in 0..installs {
        let run = host.asked(&["install", "--tags", &format!("n:{number}")]).run();
        assert!(!format!("{run}").contains(SECRET), "{run}");
    }
    host.sh("systemctl stop swapper; test -s /root/swaps");
    let line = format!(
        "writes: {writes} and {installs} installs, refused since the swap hit the window: {}, swaps: {}\n",
        of("4"),
        host.read("/root/swaps")
    );
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    assert!(of("0") > 0 && of("4") > 0, "{line}");
    assert_eq!(shadow(&host), before);
    assert!(!host.read("/root/said").contains(SECRET));
    nothing_was_read(&host);
    assert_eq!(host.owner(DATADOG), "dd-agent:dd-agent");
    host.asked(&["install", "--tags", "n:last"]).run().exits(0);
    host.verify().exits(0);
}
