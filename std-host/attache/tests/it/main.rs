//! The program `attache`, run as its users run it.

#[cfg(unix)]
mod access;
#[cfg(target_os = "linux")]
mod budget;
mod commands;
mod configuration;
mod dev_issuer;
mod documents;
mod framing;
#[cfg(unix)]
mod functions;
#[cfg(unix)]
mod gate;
#[cfg(target_os = "linux")]
mod gate_children;
#[cfg(target_os = "linux")]
mod gate_files;
mod observability;
#[cfg(target_os = "linux")]
mod operation;
mod program;
#[cfg(target_os = "linux")]
mod proxy;
#[cfg(unix)]
mod replicas;
mod running;
#[cfg(unix)]
mod sign_in;
#[cfg(unix)]
mod transport;
