//! The program `attache`, run as its users run it.

#[cfg(unix)]
mod access;
#[cfg(target_os = "linux")]
mod budget;
mod commands;
mod configuration;
mod dev_issuer;
mod framing;
#[cfg(unix)]
mod gate;
mod observability;
#[cfg(target_os = "linux")]
mod operation;
mod program;
#[cfg(unix)]
mod replicas;
mod running;
#[cfg(unix)]
mod sign_in;
#[cfg(unix)]
mod transport;
