//! ddinstall puts a Linux host into one described state: the Datadog Agent, its FIPS proxy, Cloud
//! Workload Security and their configuration, installed, running and proven.
//!
//! The modules stand on floors (ARCHITECTURE.md); none uses a module of a floor above its own.

// Floor 0
pub mod error;
pub mod event;
pub mod secret;
pub mod types;
// Floor 1
pub mod host;
pub mod net;
// Floor 3
pub mod config;
pub mod packages;
