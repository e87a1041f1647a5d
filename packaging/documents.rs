//! Writes completions and manual pages into a folder: `cargo run --example documents -- FOLDER`.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{env, fs, io};

use clap::Command;
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;

const NAME: &str = "ddinstall";

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).map(PathBuf::from);
    write(&folder.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "which folder?"))?)
}

/// `completions/` for bash, zsh and fish, and `man/` with one page for the program and one a subcommand.
pub fn write(folder: &Path) -> io::Result<()> {
    let completions = folder.join("completions");
    fs::create_dir_all(&completions)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut ddinstall::cli::command(), NAME, &completions)?;
    }
    let pages = folder.join("man");
    fs::create_dir_all(&pages)?;
    let mut command = ddinstall::cli::command().disable_help_subcommand(true);
    command.build();
    page(&command, &today(), &pages)
}

/// That of SOURCE_DATE_EPOCH, where a release says it, so that each build of it gives the same pages.
fn today() -> String {
    let released = env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse().ok());
    let time = released.map_or_else(SystemTime::now, |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    humantime::format_rfc3339_seconds(time).to_string().chars().take("2000-01-01".len()).collect()
}

/// ddinstall.1, ddinstall-install.1, ddinstall-config-get.1, …
fn page(command: &Command, date: &str, folder: &Path) -> io::Result<()> {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        page(sub, date, folder)?;
    }
    let source = concat!("ddinstall ", env!("CARGO_PKG_VERSION"));
    Man::new(command.clone()).date(date).source(source).manual(NAME).generate_to(folder).map(drop)
}
