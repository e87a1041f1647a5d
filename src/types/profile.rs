//! What a run works on.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// What the described state is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// A host that runs, and whose service manager starts what is installed.
    #[default]
    Host,
    /// An image that is being built: nothing runs in it, and neither ports nor kernel are its own.
    Image,
    /// A container that runs: its first process starts everything, and there are no units.
    Container,
}

impl Profile {
    /// As settings name them.
    pub const NAMES: [&'static str; 3] = ["host", "image", "container"];
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Profile, String> {
        match text {
            "host" => Ok(Profile::Host),
            "image" => Ok(Profile::Image),
            "container" => Ok(Profile::Container),
            _ => Err(format!("`{}` is none of host, image and container", text.escape_debug())),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Profile::NAMES[*self as usize])
    }
}
