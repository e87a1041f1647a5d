//! Small values with rules of their own. Parsing them is the only thing they do.

mod fingerprint;
mod flavor;
mod pin;
mod profile;
mod release;
mod site;
mod version;
mod yaml_path;

pub use fingerprint::Fingerprint;
pub use flavor::Flavor;
pub use pin::Pin;
pub use profile::Profile;
pub use release::Release;
pub use site::Site;
pub use version::Version;
pub use yaml_path::YamlPath;
