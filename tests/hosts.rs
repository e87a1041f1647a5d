//! Tests on real hosts: the lab must be set up (script/lab).

#[path = "lab/mod.rs"]
mod lab;

mod hosts {
    mod common;
    mod existing_agent;
    mod fresh;
    mod init;
    mod interrupted;
    mod kills;
    mod plan;
    mod refusals;
    mod rollback;
    mod second_run;
    mod secrets;
    mod services;
    mod settings;
    mod smoke;
    mod state;
    mod verify;
}
