//! Users and groups of the host's own tables. Changes go through the system's tools, never into the tables.

use std::time::Duration;

use super::{Command, Host, ReadFailure};
use crate::error::{Error, Kind, Result};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: String,
    pub shell: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    pub gid: u32,
    pub members: Vec<String>,
}

/// `/etc/passwd` and `/etc/group`, read once.
#[derive(Debug, Clone, Default)]
pub struct Users {
    users: Vec<User>,
    groups: Vec<Group>,
}

impl Users {
    /// Reads both tables; an absent one is empty. Lines that are not understood (comments, NIS) are passed over.
    pub fn read(host: &Host) -> std::result::Result<Users, ReadFailure> {
        let table = |path| host.read_text(path).map(Option::unwrap_or_default);
        Ok(Users::parse(&table("/etc/passwd")?, &table("/etc/group")?))
    }

    pub fn parse(passwd: &str, group: &str) -> Users {
        Users {
            users: passwd.lines().filter_map(parse_user).collect(),
            groups: group.lines().filter_map(parse_group).collect(),
        }
    }

    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|u| u.name == name)
    }

    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|g| g.name == name)
    }

    /// Whether the user is listed in the group or has it as the primary group.
    pub fn is_member(&self, user: &str, group: &str) -> bool {
        self.group(group)
            .is_some_and(|g| g.members.iter().any(|m| m == user) || self.user(user).is_some_and(|u| u.gid == g.gid))
    }

    /// The ids of all groups of a user, the primary one first.
    pub fn groups_of(&self, user: &str) -> Vec<u32> {
        let primary = self.user(user).map(|u| u.gid);
        let listed = self.groups.iter().filter(|g| Some(g.gid) != primary && g.members.iter().any(|m| m == user));
        primary.into_iter().chain(listed.map(|g| g.gid)).collect()
    }
}

fn parse_user(line: &str) -> Option<User> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, _, home, shell] = fields[..] else {
        return None;
    };
    Some(User {
        name: name.to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: home.to_owned(),
        shell: shell.to_owned(),
    })
}

fn parse_group(line: &str) -> Option<Group> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, gid, members] = fields[..] else {
        return None;
    };
    Some(Group {
        name: name.to_owned(),
        gid: gid.parse().ok()?,
        members: members.split(',').map(str::trim).filter(|m| !m.is_empty()).map(str::to_owned).collect(),
    })
}

/// Whether we act as root.
pub fn effective_is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Adds a user to a group; being in it already is no error. Running processes of the user do not notice.
pub fn add_to_group(host: &Host, user: &str, group: &str) -> Result<()> {
    change(host, Command::new("usermod").args(["-a", "-G", group, user]), &format!("add {user} to the group {group}"))
}

/// Takes a user out of a group. Not being in it is an error of the tool.
pub fn remove_from_group(host: &Host, user: &str, group: &str) -> Result<()> {
    change(host, Command::new("gpasswd").args(["-d", user, group]), &format!("remove {user} from the group {group}"))
}

fn change(host: &Host, command: Command<'_>, what: &str) -> Result<()> {
    let output = command.deadline(Duration::from_secs(60)).run(host)?;
    if output.success() {
        return Ok(());
    }
    Err(
        Error::new(Kind::Prerequisite, format!("cannot {what}")).detail(output.explain()).hint(
            "another program may hold the lock of /etc/group, or the group is kept by a directory service: change it there, then run again",
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n# a comment\n+::::::\ndd-agent:x:107:112:Datadog Agent,,,:/opt/datadog-agent:/usr/sbin/nologin\nbroken:x:no:1:::\n";
    const GROUP: &str = "root:x:0:\nsystemd-journal:x:999:adm-user, dd-agent\ndd-agent:x:112:\n";

    #[test]
    fn tables_are_read_and_odd_lines_passed_over() {
        let users = Users::parse(PASSWD, GROUP);
        let agent = users.user("dd-agent").unwrap();
        assert_eq!((agent.uid, agent.gid), (107, 112));
        assert_eq!(agent.home, "/opt/datadog-agent");
        assert_eq!(users.group("systemd-journal").unwrap().gid, 999);
        assert!(users.user("broken").is_none());
        assert!(users.user("+").is_none());
    }

    #[test]
    fn a_member_is_listed_or_has_it_as_primary_group() {
        let users = Users::parse(PASSWD, GROUP);
        assert!(users.is_member("dd-agent", "systemd-journal"));
        assert!(users.is_member("dd-agent", "dd-agent"));
        assert!(!users.is_member("dd-agent", "root"));
        assert!(!users.is_member("dd-agent", "absent"));
        assert_eq!(users.groups_of("dd-agent"), [112, 999]);
    }
}
