//! Tests on real hosts: the lab must be set up (script/lab).

#[path = "lab/mod.rs"]
mod lab;

mod hosts {
    mod chef;
    mod common;
    mod concurrent;
    mod existing_agent;
    mod failures;
    mod first_boot;
    mod fleet;
    mod fleet_long;
    mod fresh;
    mod hostile;
    mod image;
    mod init;
    mod interrupted;
    mod kills;
    mod minimal;
    mod network;
    mod odd;
    mod one_line;
    mod package_files;
    mod plan;
    mod receipts;
    mod refusals;
    mod repository;
    mod rollback;
    mod rpm;
    mod second_run;
    mod secret_backend;
    mod secrets;
    mod services;
    mod settings;
    mod smoke;
    mod sources;
    mod state;
    mod verify;
    mod versions;
}
