//! The program `attache`, run as its users run it.

#[cfg(unix)]
mod access;
#[cfg(target_os = "linux")]
mod budget;
mod client_config;
mod client_sign_in;
mod commands;
mod configuration;
mod describe;
mod dev_issuer;
mod doctor;
mod documents;
#[cfg(unix)]
mod downstream;
mod framing;
#[cfg(unix)]
mod functions;
#[cfg(unix)]
mod functions_access;
#[cfg(target_os = "linux")]
mod functions_ending;
#[cfg(unix)]
mod functions_events;
#[cfg(unix)]
mod functions_http;
#[cfg(unix)]
mod functions_peers;
#[cfg(unix)]
mod functions_tutorial;
#[cfg(unix)]
mod gate;
#[cfg(target_os = "linux")]
mod gate_children;
#[cfg(target_os = "linux")]
mod gate_files;
mod http_sse;
mod observability;
#[cfg(target_os = "linux")]
mod operation;
#[cfg(target_os = "linux")]
mod package;
mod program;
#[cfg(target_os = "linux")]
mod proxy;
#[cfg(target_os = "linux")]
mod reload;
#[cfg(unix)]
mod replicas;
mod running;
#[cfg(unix)]
mod sign_in;
#[cfg(unix)]
mod sign_in_pages;
#[cfg(unix)]
mod transport;
