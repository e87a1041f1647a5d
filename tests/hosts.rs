//! Tests on real hosts: the lab must be set up (script/lab).

#[path = "lab/mod.rs"]
mod lab;

#[path = "hosts/smoke.rs"]
mod smoke;

#[path = "hosts/settings.rs"]
mod settings;
