//! The program `attache`, run as its users run it.

#[cfg(unix)]
mod access;
#[cfg(target_os = "linux")]
mod budget;
mod commands;
mod configuration;
mod documents;
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
mod transport;
