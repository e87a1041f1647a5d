//! Watches the processes of a host while something runs, for secrets in arguments and environments.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A process as it was seen at least once. A process that changes its program is seen as several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// The program's path in the host; empty if it was not to be read any more.
    pub program: String,
    pub args: Vec<String>,
    pub env: Vec<String>,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Sample {
    pub processes: BTreeSet<Process>,
    /// How often all processes were looked at.
    pub rounds: u64,
}

impl Sample {
    /// Processes with this text in their arguments.
    pub fn in_arguments(&self, text: &str) -> Vec<&Process> {
        self.processes.iter().filter(|p| p.args.iter().any(|a| a.contains(text))).collect()
    }

    /// Processes with this text in their environment.
    pub fn in_environments(&self, text: &str) -> Vec<&Process> {
        self.processes.iter().filter(|p| p.env.iter().any(|e| e.contains(text))).collect()
    }
}

pub(super) struct Sampler {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Sample>,
}

impl Sampler {
    /// Samples the processes in the process name space of `pid`.
    pub(super) fn start(pid: u32) -> Sampler {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = stop.clone();
        let wanted = namespace(pid).expect("the host's name space");
        let thread = std::thread::spawn(move || {
            let mut sample = Sample::default();
            while !asked.load(Ordering::Relaxed) {
                round(&wanted, &mut sample.processes);
                sample.rounds += 1;
            }
            sample
        });
        Sampler { stop, thread }
    }

    pub(super) fn finish(self) -> Sample {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("sampler")
    }
}

fn namespace(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}

fn round(wanted: &PathBuf, seen: &mut BTreeSet<Process>) {
    let Ok(entries) = fs::read_dir("/proc") else {
        return;
    };
    let pids = entries.flatten().filter_map(|e| e.file_name().to_string_lossy().parse::<u32>().ok());
    for pid in pids.filter(|pid| namespace(*pid).as_ref() == Some(wanted)) {
        let program = program_of(pid);
        let Ok(args) = fs::read(format!("/proc/{pid}/cmdline")) else {
            continue;
        };
        let env = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        // What was read may be of two programs, where one became the other meanwhile; and a program that
        // has only just taken the place of another has no arguments for an instant.
        if args.is_empty() || program_of(pid) != program {
            continue;
        }
        // The way into the host, an instant before it becomes the command: no program of the host's.
        if program.ends_with("/nsenter") {
            continue;
        }
        seen.insert(Process { program, args: parts(&args), env: parts(&env) });
    }
}

fn program_of(pid: u32) -> String {
    fs::read_link(format!("/proc/{pid}/exe")).map(|p| p.display().to_string()).unwrap_or_default()
}

fn parts(bytes: &[u8]) -> Vec<String> {
    bytes.split(|b| *b == 0).filter(|p| !p.is_empty()).map(|p| String::from_utf8_lossy(p).into_owned()).collect()
}
