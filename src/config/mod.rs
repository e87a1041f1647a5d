//! Configuration files: the YAML editor and the templates.
pub mod yaml;
