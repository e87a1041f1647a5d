//! Package managers, signing keys and repositories.
