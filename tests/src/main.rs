//! Behaviour tests: one binary, one module for each behaviour.

#![cfg(test)]

mod allocations;
mod backends;
mod bad_input;
mod call_events;
mod conversations;
mod declared;
mod demo;
mod device;
mod device_log;
mod discovery;
mod door;
mod downstream;
mod endpoint;
mod foreign;
mod forms;
#[cfg(unix)]
mod functions;
mod gate;
mod gate_contents;
mod gate_failures;
mod gate_liars;
mod gate_official;
mod gate_sessions;
mod gate_suite;
mod guard;
#[path = "../../std-host/tests/it/hostile/mod.rs"]
mod hostile;
mod http1;
mod implementations;
mod issuers;
mod journal;
mod leniency;
mod listing;
mod lossy_network;
mod metadata;
mod mirrors;
mod mistakes;
mod modern;
mod neighbours;
mod opening;
mod permissions;
mod policies;
mod prompts_and_resources;
mod protection;
mod provisioning;
mod questions;
mod registration;
mod results;
mod revisions;
#[cfg(unix)]
mod serial;
mod servers;
mod sessions;
mod signatures;
mod streamed;
mod streams;
mod subscriptions;
mod tokens;
mod vectors;
