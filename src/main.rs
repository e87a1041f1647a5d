//! The binary: reads the command line, runs the command, exits with its code.

use std::process::ExitCode;

use ddinstall::error::Kind;
use ddinstall::{cli, commands};

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(invocation) => ExitCode::from(commands::run(&invocation)),
        Err(error) => {
            let code = if error.use_stderr() { Kind::Usage.exit_code() } else { 0 };
            // Help and version go to standard output; a reader that went away is no failure.
            let _ = error.print();
            ExitCode::from(code)
        }
    }
}
