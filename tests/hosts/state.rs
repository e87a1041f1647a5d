//! What a host is, without what no installer can or should bring back: two of these are compared.

use super::common::SYSPROBE;
use crate::lab::{Host, Tree};

/// Not compared, with the reasons. The README tells operators the same list.
pub const ASIDE: [&str; 27] = [
    // Ours: receipt times and logs.
    "/var/lib/ddinstall",
    "/var/log/ddinstall",
    // The package manager's own: lists, caches, logs, its database (compared by what it says), `*-old`.
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/cache",
    "/var/log/apt",
    "/var/lib/rpm",
    "/var/lib/dnf",
    "/var/lib/zypp",
    "/var/lib/YaST2",
    "/var/log/dnf.log",
    "/var/log/dnf.rpm.log",
    "/var/log/dnf.librepo.log",
    "/var/log/hawkey.log",
    "/var/log/zypp",
    "/var/log/zypper.log",
    "/var/log/dpkg.log",
    "/var/log/alternatives.log",
    // The user tables' own backups. The tables themselves are compared without the packages' user.
    "/etc/passwd-",
    "/etc/group-",
    "/etc/shadow-",
    "/etc/gshadow-",
    // systemd's: seeds, time stamps, what it remembers of units.
    "/var/lib/systemd",
    "/etc/machine-id",
    "/etc/.updated",
    "/var/.updated",
    "/etc/resolv.conf",
];
const TABLES: [&str; 4] = ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"];
/// What running programs write.
const RUNNING: [&str; 7] = [
    "/var/log/datadog",
    "/var/log/journal",
    "/var/log/wtmp",
    "/var/log/btmp",
    // What useradd and logins note.
    "/var/log/lastlog",
    "/var/log/faillog",
    "/opt/datadog-agent/run",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    tree: Tree,
    tables: Vec<String>,
    pub packages: Vec<String>,
    pub services: Vec<String>,
}

impl Host {
    pub fn state(&self) -> State {
        // Without CWS it ends by itself, some seconds after it was started.
        self.wait_until(&format!("! systemctl is-active -q datadog-agent-sysprobe || grep -q ^runtime_sec {SYSPROBE}"));
        let mut tree = self.tree().without(&ASIDE).without(&TABLES).without(&RUNNING);
        // The private /tmp of a service, by a name that no two boots share.
        tree.0.retain(|path, _| !path.contains("/tmp/systemd-private-"));
        // A file that is made anew changes the time of its folder; folders of the base are copied up by that.
        tree.0.retain(|path, entry| entry.kind != "folder" || !self.is_base_folder(path));
        for entry in tree.0.values_mut() {
            if entry.kind != "file" {
                entry.mtime = 0;
            }
        }
        let lines = |script: &str| self.sh(script).lines().map(str::to_owned).collect::<Vec<_>>();
        let tables = lines("cat /etc/passwd /etc/group /etc/shadow /etc/gshadow");
        let units = "list-unit-files --no-legend --plain 'datadog*'";
        State {
            tree,
            tables: tables.into_iter().filter(|line| !line.starts_with("dd-agent:")).collect(),
            packages: lines(match self.suite().is_rpm() {
                true => "rpm -qa",
                false => "dpkg-query -W -f '${Package} ${Status} ${Version}\\n'",
            }),
            services: if self.holds("test -d /run/systemd/system") {
                lines(&format!(
                    "systemctl {units} | while read -r unit state rest; do \
                     echo \"$unit $state $(systemctl is-active $unit || true)\"; done"
                ))
            } else {
                Vec::new()
            },
        }
    }
}

impl State {
    /// Without the times of files: another run writes them at another time.
    pub fn timeless(mut self) -> State {
        self.tree.0.values_mut().for_each(|entry| entry.mtime = 0);
        self
    }

    /// Without the owner of this path.
    pub fn forget_owner(&mut self, path: &str) {
        if let Some(entry) = self.tree.0.get_mut(path) {
            (entry.uid, entry.gid) = (0, 0);
        }
    }

    /// Without what rpm, dnf and zypper leave behind where they are killed themselves: files of theirs under names that
    /// nobody reads, such as `conf.yaml.default;6b016878`.
    pub fn forget_killed_managers(&mut self) {
        let theirs = ["/var/tmp/zypp.", "/var/tmp/rpm-tmp.", "/tmp/tmp", "/var/adm/update-scripts/posttrans"];
        let half = |path: &str| {
            let end = path.rsplit_once(';').map_or("", |(_, end)| end);
            end.len() == 8 && end.bytes().all(|c| c.is_ascii_hexdigit())
        };
        self.tree.0.retain(|path, _| !theirs.iter().any(|start| path.starts_with(start)) && !half(path));
    }

    /// Without the lock of groupadd and useradd by the number of a process that was killed: `/etc/gshadow.169`.
    pub fn forget_killed_user_tools(&mut self) {
        let tables = ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"];
        let lock = |path: &str| {
            let (table, number) = path.rsplit_once('.').unwrap_or_default();
            tables.contains(&table) && !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit())
        };
        let half_written = |path: &str| path.strip_suffix('+').is_some_and(|table| tables.contains(&table));
        self.tree.0.retain(|path, _| !lock(path) && !half_written(path));
    }

    /// Without these paths.
    pub fn without(mut self, paths: &[&str]) -> State {
        self.tree = self.tree.without(paths);
        self
    }

    /// One line a difference; none means equal.
    pub fn changes_since(&self, before: &State) -> Vec<String> {
        let mut lines = self.tree.changes_since(&before.tree);
        for (what, now, then) in [
            ("table", &self.tables, &before.tables),
            ("package", &self.packages, &before.packages),
            ("service", &self.services, &before.services),
        ] {
            lines.extend(now.iter().filter(|l| !then.contains(l)).map(|l| format!("+ {what} {l}")));
            lines.extend(then.iter().filter(|l| !now.contains(l)).map(|l| format!("- {what} {l}")));
        }
        lines
    }

    #[track_caller]
    pub fn equals(&self, before: &State) {
        let changes = self.changes_since(before);
        assert!(changes.is_empty(), "{changes:#?}");
    }
}
