//! Tests on real hosts: the lab must be set up (script/lab).

#[path = "lab/mod.rs"]
mod lab;

mod hosts {
    mod common;
    mod fresh;
    mod smoke;
}
