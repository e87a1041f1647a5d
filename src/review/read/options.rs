//! Options of `docker run`: which take a value, and where the image stands behind them.

use std::ops::Range;

use crate::config::yaml::Refusal;
use crate::settings::bypass::switch;

/// Options that take no value.
const SWITCHES: [&str; 15] = [
    "detach",
    "disable-content-trust",
    "help",
    "init",
    "interactive",
    "no-healthcheck",
    "oom-kill-disable",
    "privileged",
    "publish-all",
    "quiet",
    "read-only",
    "rm",
    "sig-proxy",
    "tty",
    "use-api-socket",
];

/// Options that take one.
const VALUED: &str = "add-host annotation attach blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent \
    cgroupns cidfile cpu-count cpu-percent cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpus \
    cpuset-cpus cpuset-mems detach-keys device device-cgroup-rule device-read-bps device-read-iops device-write-bps \
    device-write-iops dns dns-opt dns-option dns-search domainname entrypoint env env-file expose gpus group-add \
    health-cmd health-interval health-retries health-start-interval health-start-period health-timeout hostname \
    io-maxbandwidth io-maxiops ip ip6 ipc isolation kernel-memory label label-file link link-local-ip log-driver \
    log-opt mac-address memory memory-reservation memory-swap memory-swappiness mount name net net-alias network \
    network-alias oom-score-adj pid pids-limit platform publish pull restart runtime security-opt \
    shm-size stop-signal stop-timeout storage-opt sysctl tmpfs ulimit user userns uts volume volume-driver \
    volumes-from workdir";

/// Short names; those in the first list take no value.
const SHORT: [(char, &str); 5] =
    [('d', "detach"), ('i', "interactive"), ('t', "tty"), ('P', "publish-all"), ('q', "quiet")];
const SHORT_VALUED: [(char, &str); 10] = [
    ('a', "attach"),
    ('c', "cpu-shares"),
    ('e', "env"),
    ('h', "hostname"),
    ('l', "label"),
    ('m', "memory"),
    ('p', "publish"),
    ('u', "user"),
    ('v', "volume"),
    ('w', "workdir"),
];

/// A word of a command, and its bytes in the text.
pub struct Word {
    pub text: String,
    pub range: Range<usize>,
}

/// An option by its long name.
pub struct Given {
    pub name: &'static str,
    /// None for a switch that stands alone.
    pub value: Option<String>,
    /// Bytes of the option with its value.
    pub range: Range<usize>,
}

/// The options of a command, and which word names the image. `text` is the whole script.
pub fn given(text: &str, words: &[Word]) -> Result<(Vec<Given>, Option<usize>), Refusal> {
    let mut all = Vec::new();
    let mut n = 0;
    while let Some(word) = words.get(n) {
        let Some(option) = word.text.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
            return Ok((all, Some(n)));
        };
        n += 1;
        if option == "-" {
            return Ok((all, (n < words.len()).then_some(n)));
        }
        let unknown = |name: &str| Refusal {
            line: Some(1 + text[..word.range.start].matches('\n').count()),
            why: format!("{} is no known option of docker run", name.escape_debug()),
            hint: "join its value to it with `=` (`=true` where it takes none), so that the image behind it is found"
                .into(),
        };
        let (name, glued, mut range) = match option.strip_prefix('-') {
            Some(long) => {
                let (name, glued) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
                let known = SWITCHES.into_iter().chain(VALUED.split(' ')).find(|known| *known == name);
                let Some(known) = known.or(glued.map(|_| "")) else { return Err(unknown(&word.text)) };
                (known, glued, word.range.clone())
            }
            None => {
                let switches = option.chars().take_while(|c| SHORT.iter().any(|(short, _)| short == c)).count();
                for (_, name) in option[..switches].chars().filter_map(|c| SHORT.iter().find(|(short, _)| *short == c))
                {
                    all.push(Given { name, value: None, range: word.range.clone() });
                }
                let Some(last) = option[switches..].chars().next() else { continue };
                let Some((_, name)) = SHORT_VALUED.iter().find(|(short, _)| *short == last) else {
                    return Err(unknown(&word.text));
                };
                let rest = &option[switches + 1..];
                // Switches before it in the same word stay where they are.
                let start = match text[word.range.clone()].starts_with(&word.text[..switches + 2]) && switches > 0 {
                    true => word.range.start + 1 + switches,
                    false => word.range.start,
                };
                let glued = (!rest.is_empty()).then(|| rest.strip_prefix('=').unwrap_or(rest));
                (*name, glued, start..word.range.end)
            }
        };
        let value = match glued {
            Some(value) => Some(value.to_owned()),
            None if SWITCHES.contains(&name) => None,
            None => {
                let Some(next) = words.get(n) else { break };
                range.end = next.range.end;
                n += 1;
                Some(next.text.clone())
            }
        };
        all.push(Given { name, value, range });
    }
    Ok((all, None))
}

/// What `--mount` says of a path of the host, as `--volume` says it. None where it is no path of the host.
pub fn volume(mount: &str) -> Option<String> {
    // A field in quotes may hold a comma.
    let mut inside = false;
    let fields = mount.split(|c| {
        inside ^= c == '"';
        c == ',' && !inside
    });
    let fields: Vec<(String, String)> = fields
        .map(|field| {
            let field = field.replace('"', "");
            let (key, value) = field.split_once('=').unwrap_or((&field, "true"));
            (key.to_ascii_lowercase(), value.to_owned())
        })
        .collect();
    let get = |names: &[&str]| fields.iter().find(|(key, _)| names.contains(&key.as_str())).map(|(_, v)| v.as_str());
    if get(&["type"]) != Some("bind") {
        return None;
    }
    let (host, path) = (get(&["source", "src"])?, get(&["target", "destination", "dst"])?);
    let mode = get(&["readonly", "ro"]).filter(|value| switch(value) != Some(false)).map(|_| "ro");
    let options: Vec<&str> = mode.into_iter().chain(get(&["bind-propagation"])).collect();
    let colon = if options.is_empty() { "" } else { ":" };
    Some(format!("{host}:{path}{colon}{}", options.join(",")))
}
