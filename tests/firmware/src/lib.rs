//! The board's application: what a firmware engineer writes. It builds for other processors, too.

#![no_std]

pub mod application;
mod peripherals;
