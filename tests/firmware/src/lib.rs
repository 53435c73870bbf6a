//! The board's application: the part that a firmware engineer writes. It builds for other
//! processors, too.

#![no_std]

#[cfg_attr(feature = "fixtures", path = "fixtures.rs")]
pub mod application;
#[cfg(not(feature = "fixtures"))]
mod peripherals;
