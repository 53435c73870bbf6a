//! Behaviour tests: one binary, one module for each behaviour.

#![cfg(test)]

mod allocations;
mod cases;
mod conversations;
mod demo;
mod foreign;
mod homes;
mod results;
mod vectors;
