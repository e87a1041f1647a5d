//! `ddinstall verify`: proof, or what is missing of it. Writes nothing.

use crate::cli::Format;
use crate::config::value_at;
use crate::config::yaml::Value;
use crate::current::Current;
use crate::desired::{self, Asked};
use crate::error::{Error, Kind, Result};
use crate::facts::Init;
use crate::prepare::{self, Looked};
use crate::report::json::Document;
use crate::report::text;
use crate::settings::File;
use crate::types::Profile;
use crate::verify::{self, Reach, Verification};

use super::{Session, print};

pub(super) fn run(session: &Session) -> u8 {
    let (looked, verification) = match verify(session) {
        Ok(found) => found,
        Err(error) => {
            let error = error.state("nothing was changed; `verify` never changes anything");
            return session.fail(Document { command: "verify", ..Document::default() }, &error);
        }
    };
    let exit_code = if verification.holds() { 0 } else { Kind::Verification.exit_code() };
    session.terminal.rest();
    print(&match session.format {
        Format::Text => [
            text::verification(&verification, &session.redactor, session.style),
            text::notes(&looked.notes, &session.redactor),
            text::summary(&looked.desired, &verification, None, session.style),
        ]
        .concat(),
        Format::Json => Document {
            command: "verify",
            notes: &looked.notes,
            verification: Some(&verification),
            exit_code,
            ..Document::default()
        }
        .render(&session.redactor),
    });
    exit_code
}

fn verify(session: &Session) -> Result<(Looked, Verification)> {
    let mut looked = prepare::look(&session.host, &session.request, false)?;
    let asked = as_configured(&looked.asked, &looked.current);
    if asked != looked.asked {
        // Nobody said what this host is to be: it is held against what its own files say.
        let version = looked.current.agent_version();
        looked.desired = desired::desired(&session.request, asked.clone(), &looked.facts, version.as_ref())?;
        looked.current = Current::read(&session.host, &looked.desired)?;
        looked.asked = asked;
    }
    // Whatever this program would start by itself: what is verified runs, or it is not what it should be.
    looked.desired.start = match looked.facts.profile {
        Profile::Container => true,
        Profile::Image => false,
        Profile::Host => {
            let left_to_you = looked.asked.install_only || session.request.no_agent_install;
            looked.facts.init != Init::None && !left_to_you
        }
    };
    if looked.current.version(looked.asked.flavor().package()).is_none() && !looked.asked.proxy_on() {
        return Err(Error::new(Kind::Verification, "there is no Datadog Agent on this host, and none was asked for")
            .hint("run `ddinstall install` first"));
    }
    let verification = verify::verify(&session.host, &looked.facts, &looked.desired, &looked.current, Reach::Intake);
    Ok((looked, verification))
}

/// Where neither this call nor an earlier run said whether FIPS and CWS are wanted, the files say it.
fn as_configured(asked: &Asked, current: &Current) -> Asked {
    let on = |file: File, path: &str| {
        let document = current.document(file.path())?.as_ref().ok()?;
        (value_at(document, path) == Some(&Value::Bool(true))).then_some(true)
    };
    let mut asked = asked.clone();
    asked.fips = asked.fips.or_else(|| on(File::Datadog, "fips.enabled"));
    asked.cws = asked.cws.or_else(|| on(File::SystemProbe, "runtime_security_config.enabled"));
    asked
}
