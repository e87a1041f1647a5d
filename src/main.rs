//! The binary: reads the command line, runs the command, exits with its code.

use std::process::ExitCode;

use ddinstall::error::Kind;
use ddinstall::{cli, commands};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Bytes of stack that every command has.
const STACK: u64 = 8 << 20;

fn main() -> ExitCode {
    // A caller's limit may be as small as 64 KB. Children inherit it, so it is raised where that is allowed; where it is
    // not, a thread's stack is still ours to choose.
    let (soft, hard) = getrlimit(Resource::RLIMIT_STACK).unwrap_or((STACK, STACK));
    if soft < STACK
        && setrlimit(Resource::RLIMIT_STACK, STACK, hard.max(STACK)).is_err()
        && let Ok(thread) = std::thread::Builder::new().stack_size(STACK as usize).spawn(run)
    {
        return thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
    run()
}

fn run() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(invocation) => ExitCode::from(commands::run(&invocation)),
        Err(error) if error.use_stderr() => {
            let _ = error.print();
            ExitCode::from(Kind::Usage.exit_code())
        }
        // Help and version.
        Err(error) => ExitCode::from(commands::told(error.print())),
    }
}
