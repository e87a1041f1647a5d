//! `ddinstall report`: the results of many hosts, as one summary. Looks at no host.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use crate::cli::{Format, Shape};
use crate::error::{Error, Kind, Result};
use crate::report::fleet::{self, Documents, Fleet, Piece, Summary};

use super::{print, refuse, style, written};

pub(super) fn run(input: &str, shape: Shape, names: usize) -> u8 {
    let format = if shape == Shape::Json { Format::Json } else { Format::Text };
    let fleet = match read(input) {
        Ok(fleet) => fleet,
        Err(error) => return refuse("report", format, error),
    };
    let summary = fleet.summary(names);
    match shape {
        Shape::Text => print(&fleet::text(&summary, style())),
        Shape::Json => write(&summary),
        Shape::Html => match fleet::html(&summary) {
            Ok(page) => print(&page),
            Err(error) => return refuse("report", format, error),
        },
    }
    summary.exit_code
}

/// As it is made: the names of 100,000 hosts are not held once more.
fn write(summary: &Summary) {
    let mut out = BufWriter::new(io::stdout().lock());
    let all = serde_json::to_writer_pretty(&mut out, summary).map_err(io::Error::from);
    written(all.and_then(|()| writeln!(out)).and_then(|()| out.flush()));
}

fn read(input: &str) -> Result<Fleet> {
    let mut fleet = Fleet::default();
    match input {
        "-" => add(&mut fleet, None, "standard input", &mut io::stdin().lock()),
        folder => {
            for file in files(Path::new(folder))? {
                add_file(&mut fleet, &file);
            }
        }
    }
    let none = if input == "-" { "standard input is empty".into() } else { format!("{input} holds no file NAME.json") };
    match fleet.is_empty() {
        true => Err(Error::new(Kind::Usage, none)
            .hint("each host's result is what `ddinstall verify --format json` prints there")),
        false => Ok(fleet),
    }
}

/// The results in a folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e: io::Error| {
        Error::new(Kind::Usage, format!("cannot read {}: {e}", folder.display()))
            .hint("name the folder that holds the hosts' results, or `-` for standard input")
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn add_file(fleet: &mut Fleet, path: &Path) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // A named pipe that nobody writes to would be waited for.
    let opened = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
    let file = match opened.and_then(|file| Ok((file.metadata()?.is_file(), file))) {
        Ok((true, file)) => file,
        Ok((false, _)) => return fleet.unread(&name, "it is no regular file"),
        Err(error) => return fleet.unread(&name, &error.to_string()),
    };
    add(fleet, Some(name.strip_suffix(".json").unwrap_or(&name)), &name, &mut BufReader::new(file));
}

/// Adds every document of a stream. The first one of a file is the host that the file is named after.
fn add(fleet: &mut Fleet, mut host: Option<&str>, name: &str, input: &mut dyn BufRead) {
    let mut documents = Documents::new(input);
    let mut any = false;
    loop {
        match documents.piece() {
            Ok(None) => break,
            Ok(Some(Piece::Document { line, bytes })) => {
                fleet.add(host.take(), &format!("{name}, line {line}"), &bytes);
            }
            Ok(Some(Piece::Broken { line, why })) => fleet.unread(&format!("{name}, line {line}"), why),
            Err(error) => {
                fleet.unread(name, &error.to_string());
                return;
            }
        }
        any = true;
    }
    if !any && name != "standard input" {
        fleet.unread(name, "it is empty");
    }
}
