//! Behaviour tests: one binary, one module for each behaviour.

#![cfg(test)]

mod allocations;
mod backends;
mod beside;
mod cases;
mod conversations;
mod demo;
mod device;
mod discovery;
mod door;
mod endpoint;
mod faults;
mod foreign;
mod forms;
mod gate;
mod gate_failures;
mod gate_official;
mod guard;
mod homes;
mod http1;
mod issuers;
mod leniency;
mod listing;
mod metadata;
mod mirrors;
mod modern;
mod neighbours;
mod permissions;
mod protection;
mod provisioning;
mod questions;
mod reading;
mod registration;
mod results;
mod revisions;
mod servers;
mod sessions;
mod signatures;
mod streamed;
mod streams;
mod subscriptions;
mod tokens;
mod told;
mod vectors;
