//! ddinstall puts a Linux host into one described state: the Datadog Agent, its FIPS proxy, Cloud
//! Workload Security and their configuration, installed, running and proven.
//!
//! The modules stand on floors (ARCHITECTURE.md); none uses a module of a floor above its own.

// They panic where their reader is gone; what is printed goes through functions that do not.
#![deny(clippy::print_stdout, clippy::print_stderr)]

// Floor 0
pub mod error;
pub mod event;
pub mod secret;
pub mod template;
pub mod types;
// Floor 1
pub mod host;
pub mod net;
pub mod settings;
// Floor 2
pub mod facts;
pub mod request;
pub mod support;
// Floor 3
pub mod config;
pub mod packages;
// Floor 4
pub mod desired;
pub mod render;
pub mod review;
// Floor 5
pub mod current;
pub mod secrets;
pub mod step;
// Floor 6
pub mod plan;
pub mod prerequisites;
pub mod receipt;
pub mod supply;
// Floor 7
pub mod apply;
pub mod prepare;
pub mod rollback;
pub mod verify;
// Floor 8
pub mod cli;
pub mod commands;
pub mod doctor;
pub mod report;
