//! The Agent's secrets management: handles in its files, the rights of its helper, the protocol between both, and a
//! helper of our own. What the Agent does and does not do is said where it is judged, with its place in the source of
//! datadog-agent.

pub mod agent;
pub mod backend;
pub mod folder;
pub mod handles;
pub mod needs;
pub mod protocol;
pub mod rules;
pub mod run;
