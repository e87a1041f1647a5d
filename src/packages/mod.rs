//! Package managers, signing keys and repositories.

pub mod keys;
mod openpgp;
