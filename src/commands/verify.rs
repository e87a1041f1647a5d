//! `ddinstall verify`: proof, or what is missing of it. Writes nothing.

use std::time::{Duration, Instant};

use crate::cli::{Evidence, Verify};
use crate::error::{Error, Kind, Result};
use crate::facts::Init;
use crate::prepare::{self, Looked};
use crate::report::json::Document;
use crate::report::text::Details;
use crate::report::{Redactor, evidence, text};
use crate::types::Profile;
use crate::verify::{self, CATALOGUE, Choice, Reach, Verification};

use super::{Session, print};

/// Between two looks at a host that is still starting.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) fn run(session: &Session, options: &Verify) -> u8 {
    let (looked, verification) = match verify(session, options) {
        Ok(found) => found,
        Err(error) => {
            let error = error.state("nothing was changed; `verify` never changes anything");
            return session.fail(Document { command: "verify", ..Document::default() }, &error);
        }
    };
    let exit_code = if verification.holds() { 0 } else { Kind::Verification.exit_code() };
    session.terminal.rest();
    let redactor = redactor(session, &looked);
    let rendered = match options.evidence {
        Evidence::Json | Evidence::Schema => Ok(Document {
            command: "verify",
            notes: &looked.notes,
            verification: Some(&verification),
            exit_code,
            ..Document::default()
        }
        .render(&redactor)),
        Evidence::Junit => Ok(evidence::junit(&verification, &redactor)),
        Evidence::Oscal => evidence::oscal(&verification, &redactor),
        Evidence::Html => evidence::html(&verification, &redactor),
        Evidence::Text => {
            let details = if options.details { Details::All } else { Details::None };
            Ok([
                text::verification(&verification, details, &redactor, session.style),
                text::notes(&looked.notes, &redactor),
                text::summary(&looked.desired, &verification, None, session.style),
            ]
            .concat())
        }
    };
    match rendered {
        Ok(rendered) => print(&rendered),
        Err(error) => return session.fail(Document { command: "verify", ..Document::default() }, &error),
    }
    exit_code
}

/// `--list`: the catalogue.
pub(super) fn list(form: Evidence) -> u8 {
    let row = |row: &verify::catalogue::Row| serde_json::json!({ "id": row.id, "title": row.title, "source": row.source, "controls": row.controls });
    if form == Evidence::Json {
        print(&format!("{:#}\n", serde_json::Value::Array(CATALOGUE.iter().map(row).collect())));
        return 0;
    }
    let lines = CATALOGUE.iter().map(|row| {
        let controls = if row.controls.is_empty() { String::new() } else { format!(" [{}]", row.controls.join(", ")) };
        format!("{:<22} {}{controls}\n{:<22} {}\n", row.id, row.title, "", row.source)
    });
    print(&lines.collect::<String>());
    0
}

/// `--format schema`
pub(super) fn schema() -> u8 {
    print(evidence::SCHEMA);
    0
}

fn verify(session: &Session, options: &Verify) -> Result<(Looked, Verification)> {
    let choice = Choice::new(&options.only, &options.skip)?;
    let until = Instant::now() + options.wait.unwrap_or_default();
    loop {
        let found = look(session, &choice);
        let holds = found.as_ref().is_ok_and(|(_, verification)| verification.holds());
        if holds || Instant::now() + PAUSE > until || session.stop.load(std::sync::atomic::Ordering::Relaxed) {
            return found;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Looks at the host, as it is to be by what was asked, now or before.
pub(super) fn look(session: &Session, choice: &Choice) -> Result<(Looked, Verification)> {
    let mut looked = prepare::look(&session.host, &session.request, false)?;
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
    let Looked { facts, desired, current, .. } = &looked;
    let verification = verify::verify(&session.host, facts, desired, current, Reach::Agent, choice);
    Ok((looked, verification))
}

/// Knows the secrets of this host's files, too.
pub(super) fn redactor(session: &Session, looked: &Looked) -> Redactor {
    let mut redactor = session.redactor.clone();
    for wish in &looked.desired.files {
        if let Some(Ok(document)) = looked.current.document(wish.path) {
            redactor.learn_value(document.root(), false);
        }
    }
    redactor
}
