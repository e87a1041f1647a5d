//! What must hold of the secret backend before a run writes anything.

use std::path::Path;

use super::{backend, handles, rules};
use crate::config::value_at;
use crate::current::Current;
use crate::desired::{AGENT_USER, Asked, ENVIRONMENT, HELPER};
use crate::error::{Error, Kind, Result};
use crate::host::users::Users;
use crate::host::{FileKind, Host, Identity};
use crate::request::Request;
use crate::secret;
use crate::types::{Flavor, Profile};

/// An API key that is a handle needs a backend that resolves it: otherwise the Agent does not start, or sends with the
/// handle as its key. Notes for what only checks would miss.
pub fn check(
    host: &Host,
    request: &Request,
    asked: &Asked,
    profile: Profile,
    current: &Current,
) -> Result<Vec<String>> {
    if asked.flavor() == Flavor::FipsProxy || request.no_agent_install {
        return Ok(Vec::new());
    }
    let text = |key: &str| request.values.text(key);
    let document = current.document(asked.main_file().path()).and_then(|document| document.as_ref().ok());
    let is_handle = match &request.api_key {
        Some(key) => key.is_handle(),
        None => document
            .and_then(|document| value_at(document, "api_key"))
            .and_then(|value| value.as_str())
            .is_some_and(|text| secret::handle(text).is_some()),
    };
    // A file that names its key so was the operator's, and its backend may be where we do not look; what an image or a
    // container lacks may come when it is started.
    let needed = is_handle && request.api_key.is_some() && profile == Profile::Host;
    if let Some(folder) = text("secret_backend_folder")
        && host.meta(folder).is_ok_and(|meta| meta.is_none())
    {
        return refuse(
            needed,
            format!("DD_SECRET_BACKEND_FOLDER: {folder} is not there"),
            "make it, with a file for each handle",
        );
    }
    if text("secret_backend_folder").or(text("secret_backend_helper")).is_some() {
        folders(host)?;
        return Ok(Vec::new());
    }
    // Whoever may not read it changes nothing either.
    let environment = host.read(ENVIRONMENT).ok().flatten().map_or_else(Vec::new, |stored| {
        handles::variables(&stored.bytes).into_iter().map(|(_, name, value)| (name, value)).collect()
    });
    let mut backend = backend::configured(document, &environment);
    backend.command = text("secret_backend_command").map(Into::into).or(backend.command);
    backend.kind = text("secret_backend_type").map(str::to_owned).or(backend.kind);
    if let Some(on) = request.values.bool("secret_backend_command_allow_group_exec_perm") {
        backend.group_exec = on;
    }
    if !backend.is_set() && is_handle {
        let what = "the API key is an ENC[…] handle, and no secret backend is set that resolves it";
        let hint = "set DD_SECRET_BACKEND_FOLDER (a folder of files), DD_SECRET_BACKEND_HELPER or _COMMAND (a program), or DD_SECRET_BACKEND_TYPE";
        return match needed {
            true => Err(Error::new(Kind::Usage, what).hint(hint)),
            false => Ok(vec![format!("{what}; {hint}, if its environment does not")]),
        };
    }
    let Some(command) = backend.command.filter(|command| command != Path::new(HELPER)) else { return Ok(Vec::new()) };
    let name = format!("secret_backend_command: {}", command.display());
    let hint = "name the program by DD_SECRET_BACKEND_HELPER: a copy is put in place as the Agent wants it";
    let helper = match rules::look(host, &command) {
        Ok(helper) => helper,
        Err(error) => return refuse(needed, format!("{name}: {}", error.what), hint),
    };
    // On a fresh host nobody is dd-agent yet, so the file cannot be his.
    let users = Users::read(host)?;
    let runner =
        rules::identity(&users, AGENT_USER).unwrap_or(Identity { uid: u32::MAX, gid: u32::MAX, groups: Vec::new() });
    match helper.refused_by(&runner, backend.group_exec, current.agent_version().as_ref()) {
        Some(why) => refuse(needed, format!("{name}: the Agent would not run it: {why}"), hint),
        None => Ok(Vec::new()),
    }
}

fn refuse(needed: bool, what: String, hint: &str) -> Result<Vec<String>> {
    match needed {
        true => Err(Error::new(Kind::Prerequisite, what).hint(hint)),
        false => Ok(vec![format!("{what}; {hint}")]),
    }
}

/// Nobody but root can replace what is put in place.
fn folders(host: &Host) -> Result<()> {
    for folder in Path::new(HELPER).ancestors().skip(1) {
        let Some(meta) = host.meta(folder)? else { continue };
        let why = if meta.kind != FileKind::Dir {
            "is no folder".to_owned()
        } else if meta.uid != 0 {
            format!("belongs to uid {}", meta.uid)
        } else if meta.mode & 0o022 != 0 {
            format!("has mode {:04o}", meta.mode)
        } else if meta.mode & 0o001 == 0 {
            format!("has mode {:04o}, which keeps {AGENT_USER} out", meta.mode)
        } else {
            continue;
        };
        let what = format!(
            "the secret helper goes to {HELPER}, and {} {why}: others could replace it, or it could not be run",
            folder.display()
        );
        return Err(Error::new(Kind::Prerequisite, what).hint("make it root's alone, mode 0755"));
    }
    Ok(())
}
