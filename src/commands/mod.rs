//! What each command does, from the request to the exit code.

mod config;
mod doctor;
mod image;
mod install;
mod journal;
mod plan;
mod render;
mod report;
mod review;
mod rollback;
mod secrets;
pub mod settings;
mod support;
mod verify;

use crate::cli::{Action, Evidence, Format, Invocation};
use crate::error::{Error, Kind, Result};
use crate::event::Events;
use crate::facts;
use crate::host::{Host, Lock, Locking, guarded, inside, users};
use crate::packages::{self, Access, Manager};
use crate::receipt::{self, LOCK, Past, STATE};
use crate::report::json::Document;
use crate::report::text::{self, Style};
use crate::report::{Redactor, Terminal};
use crate::request::{InputFile, Inputs, Request};
use crate::settings::row;
use crate::supply;
use crate::types::Profile;
use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use journal::Journal;

/// Exit code of `plan --detailed-exitcode` where changes are pending.
pub const CHANGES_PENDING: u8 = 20;

/// What every command has at hand.
struct Session {
    host: Host,
    request: Request,
    format: Format,
    redactor: Redactor,
    style: Style,
    terminal: Arc<Terminal>,
    journal: Arc<Journal>,
    events: Events,
    access: Access,
    /// What is worked on is an image.
    image: bool,
    /// Set by a signal: what may be stopped then is.
    stop: Arc<AtomicBool>,
}

/// Why standard output could not be written.
static UNWRITTEN: OnceLock<std::io::Error> = OnceLock::new();

/// Runs a command and returns its exit code. Results go to standard output, progress and errors to standard error.
pub fn run(invocation: &Invocation) -> u8 {
    // It reads keys and passwords, and the released binary aborts on a panic.
    guarded::keep_memory_private();
    outcome(carry_out(invocation))
}

/// The exit code where all that was asked for was a text, by how printing it went.
pub fn told(printed: std::io::Result<()>) -> u8 {
    written(printed.and_then(|()| std::io::stdout().flush()));
    outcome(0)
}

/// The exit code of a command, which is another one if its words were lost.
fn outcome(exit_code: u8) -> u8 {
    let Some(why) = UNWRITTEN.get() else { return exit_code };
    let error = Error::io("write", Path::new("standard output"), why);
    let error = error.state("the command came to its end, and what it had to say is incomplete");
    say(&text::error(&error, &Redactor::default(), Style(false)));
    // A failure of the command itself counts for more.
    if matches!(exit_code, 0 | CHANGES_PENDING) { error.kind.exit_code() } else { exit_code }
}

fn carry_out(invocation: &Invocation) -> u8 {
    let name = match &invocation.action {
        Action::Settings(listing) => return settings::run(*listing),
        Action::Support(question, listing) => return support::run(question, *listing),
        Action::Report { input, shape, names } => return report::run(input, *shape, *names),
        Action::ConfigGet { file, path } => return config::get(file, path),
        Action::ConfigSet { file, changes, diff, dry_run } => return config::set(file, changes, *diff, *dry_run),
        Action::Render(target, options) => return render::run(invocation, *target, options),
        Action::Review(args) => return review::run(args),
        Action::Secrets(asked) => return secrets::run(asked, invocation.format),
        Action::Install => "install",
        Action::Plan { .. } => "plan",
        Action::Verify(options) if options.list => return verify::list(options.evidence),
        Action::Verify(options) if options.evidence == Evidence::Schema => return verify::schema(),
        Action::Verify(_) => "verify",
        Action::Doctor { .. } => "doctor",
        Action::Undo(extent) if extent.all => "uninstall",
        Action::Undo(_) => "rollback",
    };
    let writes = matches!(invocation.action, Action::Install);
    let _inside = match invocation.root.as_deref().filter(|root| is_folder(root)) {
        Some(root) => match inside::enter(Path::new(root), writes, &interruption()) {
            Ok(Ok(inside)) => Some(inside),
            Ok(Err(exit_code)) => return exit_code,
            Err(error) => return refuse(name, invocation.format, error),
        },
        None => None,
    };
    let session = match Session::open(invocation) {
        Ok(session) => session,
        Err(error) => return refuse(name, invocation.format, error),
    };
    match &invocation.action {
        Action::Plan { diff, detailed_exitcode } => plan::run(&session, *diff, *detailed_exitcode),
        Action::Verify(options) => verify::run(&session, options),
        Action::Doctor { fix } => doctor::run(&session, *fix),
        Action::Undo(extent) => rollback::run(&session, *extent),
        _ => install::run(&session),
    }
}

/// A mistake in the input: no secret is known yet, and no host was looked at.
fn refuse(command: &str, format: Format, error: Error) -> u8 {
    let error = if error.state.is_none() { error.state("nothing was changed") } else { error };
    let redactor = Redactor::default();
    let exit_code = error.kind.exit_code();
    match format {
        Format::Text => say(&text::error(&error, &redactor, Style(false))),
        Format::Json => {
            let document =
                Document { command, changed: Some(false), error: Some(&error), exit_code, ..Document::default() };
            print(&document.render(&redactor));
        }
    }
    exit_code
}

impl Session {
    fn open(invocation: &Invocation) -> Result<Session> {
        // What is taken back is known from the receipt: only how a repository is reached is still open.
        let asks = !matches!(invocation.action, Action::Undo(_));
        let mut variables: Vec<(OsString, OsString)> =
            std::env::vars_os().filter(|(name, _)| asks || says_how_to_reach(name)).collect();
        let root = invocation.root.as_deref().unwrap_or("/");
        if is_folder(root) {
            imply_no_key(&mut variables);
        }
        let piped = invocation.file.as_deref() == Some("-");
        let read = |path: &str| match piped && path == "-" {
            true => Err("standard input holds the settings (--file -); name a file, or set api_key there".into()),
            false => read_input(path),
        };
        let inputs = Inputs {
            variables,
            flags: invocation.flags.clone(),
            sets: invocation.sets.clone(),
            file: invocation.file.as_deref().map(read_settings).transpose()?,
            read: &read,
        };
        let request = Request::new(inputs)?;
        let redactor = Redactor::new(request.secrets());
        // With JSON on standard output, progress is still for people, on standard error.
        let quiet = invocation.quiet || (invocation.format == Format::Json && !std::io::stderr().is_terminal());
        let terminal = Arc::new(Terminal::new(redactor.clone(), quiet));
        let journal = Arc::new(Journal::new(redactor.clone()));
        let events = Events::new({
            let (terminal, journal) = (terminal.clone(), journal.clone());
            move |event| {
                terminal.hear(event);
                journal.hear(event);
            }
        });
        let host = Host::new(Path::new(root))?;
        let image = facts::profile(&host, request.profile) == Profile::Image;
        let access = Access::new(supply::address(&host, &request.sources), &request.sources);
        Ok(Session {
            access,
            image,
            host,
            request,
            format: invocation.format,
            redactor,
            style: style(),
            terminal,
            journal,
            events,
            stop: interruption(),
        })
    }

    /// What the package manager needs of this session.
    fn tools(&self) -> packages::Session<'_> {
        packages::Session {
            host: &self.host,
            events: &self.events,
            lock_wait: self.request.sources.limits.lock,
            access: &self.access,
            environment: &[],
            image: self.image,
            cancel: &self.stop,
            lock: None,
        }
    }

    /// Prints a failure, whatever the format, and returns its exit code.
    fn fail(&self, document: Document, error: &Error) -> u8 {
        self.terminal.rest();
        let exit_code = error.kind.exit_code();
        match self.format {
            Format::Text => say(&text::error(error, &self.redactor, self.style)),
            Format::Json => print(&Document { error: Some(error), exit_code, ..document }.render(&self.redactor)),
        }
        exit_code
    }
}

/// Whether a variable says how a repository is reached, and how long is waited; not what the host is to be.
fn says_how_to_reach(name: &OsStr) -> bool {
    const REACH: [&str; 7] =
        ["repo_url", "apt_url", "proxy", "ca_file", "lock_wait", "download_stall", "download_limit"];
    let ours = |key: &&str| row(key).variables.iter().any(|variable| name == *variable);
    REACH.iter().any(ours) || name.to_string_lossy().to_ascii_lowercase().ends_with("_proxy")
}

/// Takes the lock, waiting for another run.
fn lock(session: &Session) -> Result<Lock> {
    let started = Instant::now();
    let limit = session.request.sources.limits.lock;
    let mut waited = false;
    loop {
        receipt::prepare_state(&session.host)?;
        let holder = match session.host.lock(LOCK) {
            Ok(Locking::Acquired(lock)) => return Ok(lock),
            Ok(Locking::HeldBy(holder)) => holder,
            // An uninstallation that has ended just now took the folder away.
            Err(_) if session.host.meta(STATE)?.is_none() && started.elapsed() <= limit => continue,
            Err(error) => return Err(error),
        };
        let holder = match holder {
            Some(pid) if matches!(session.host.meta(format!("/proc/{pid}")), Ok(None)) => {
                format!("process {pid} was cut off; its transaction goes on")
            }
            Some(pid) => format!("process {pid}"),
            None => "another process".into(),
        };
        if started.elapsed() > limit {
            let what = format!("another run of ddinstall ({holder}) holds {LOCK} for more than {} s", limit.as_secs());
            return Err(Error::new(Kind::Prerequisite, what).hint("wait until it is done, then run again"));
        }
        if session.stop.load(Ordering::Relaxed) {
            let what = format!("a signal ended this run while it waited for another run of ddinstall ({holder})");
            return Err(Error::new(Kind::Interrupted, what));
        }
        if !waited {
            session.events.note(format!("waiting for another run of ddinstall ({holder})"));
        }
        waited = true;
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Where an earlier run was cut off: the lock, once the transaction that the run may have left behind has ended, for
/// until then the host is not what it will be.
fn after_earlier(session: &Session) -> Result<Option<Lock>> {
    if !users::effective_is_root() || Past::load(&session.host)?.receipt().cut_off().is_none() {
        return Ok(None);
    }
    let lock = lock(session)?;
    Manager::of(&session.host)?.wait_for_transaction(session.tools())?;
    Ok(Some(lock))
}

/// Reads `--file`; `-` is standard input, which nobody else can read.
fn read_settings(path: &str) -> Result<InputFile> {
    const LIMIT: u64 = 1024 * 1024;
    let usage = |why: String| Error::new(Kind::Usage, format!("--file {path}: {why}"));
    let mut bytes = Vec::new();
    let (read, name, mode) = if path == "-" {
        (std::io::stdin().take(LIMIT + 1).read_to_end(&mut bytes), "--file -", 0o600)
    } else {
        let file = std::fs::File::open(path).map_err(|e| usage(e.to_string()))?;
        let meta = file.metadata().map_err(|e| usage(e.to_string()))?;
        if !meta.is_file() {
            return Err(usage("is no regular file".into()));
        }
        (file.take(LIMIT + 1).read_to_end(&mut bytes), path, meta.permissions().mode())
    };
    read.map_err(|e| usage(e.to_string()))?;
    if bytes.len() as u64 > LIMIT {
        return Err(usage("is larger than 1 MiB".into()));
    }
    Ok(InputFile { name: name.to_owned(), bytes, mode })
}

/// Reads a file that a setting names: a key, or certificates.
fn read_input(path: &str) -> std::result::Result<Vec<u8>, String> {
    const LIMIT: u64 = 4 * 1024 * 1024;
    let mut bytes = Vec::new();
    let read = if path == "-" {
        std::io::stdin().take(LIMIT).read_to_end(&mut bytes)
    } else {
        let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
        let meta = file.metadata().map_err(|e| e.to_string())?;
        if meta.is_file() && meta.permissions().mode() & 0o002 != 0 {
            return Err("every user may write to it: chmod o-w".into());
        }
        file.take(LIMIT).read_to_end(&mut bytes)
    };
    read.map_err(|e| e.to_string()).map(|_| bytes)
}

/// Whether this is another root than that of the running system.
fn is_folder(root: &str) -> bool {
    std::fs::canonicalize(root).map_or(true, |path| path != Path::new("/"))
}

/// An image gets no key, unless a flag or this variable says otherwise.
fn imply_no_key(variables: &mut Vec<(OsString, OsString)>) {
    let name = row("no_key").variables[0];
    if variables.iter().all(|(known, value)| known != name || value.is_empty()) {
        variables.retain(|(known, _)| known != name);
        variables.push((name.into(), "on".into()));
    }
}

/// Colours, on a terminal.
fn style() -> Style {
    Style(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()))
}

/// Prints to standard output.
fn print(text: &str) {
    let mut out = std::io::stdout();
    written(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// Remembers what could not be written. A reader that went away is no failure of ours.
fn written(result: std::io::Result<()>) {
    if let Err(error) = result
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        // The first one says why.
        let _ = UNWRITTEN.set(error);
    }
}

/// Prints to standard error, which may be gone as well: `eprint!` would end the run there, with what it has made so far.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Set by SIGINT, SIGTERM and SIGHUP: the current step is ended, then the run is taken back.
fn interruption() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        // Without the handler, the signal ends the process as it always does.
        let _ = signal_hook::flag::register(signal, flag.clone());
    }
    // Where the caller ignores it, nobody's end could be waited for.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGCHLD, Arc::default());
    flag
}
