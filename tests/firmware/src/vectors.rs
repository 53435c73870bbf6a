//! The board's interrupt vectors.

use cortex_m::interrupt::InterruptNumber;

use crate::{ethernet, uart};

/// The interrupts in use.
#[derive(Clone, Copy)]
pub enum Interrupt {
    Uart0 = 5,
    Ethernet = 42,
}

// SAFETY: the discriminants are the board's fixed interrupt numbers.
unsafe impl InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self as u16
    }
}

/// Number of interrupt lines: the Ethernet controller's, 42, is the last.
const LINES: usize = 43;

type Handler = extern "C" fn();

/// `None` is a null vector: an interrupt that no code has enabled ends in a visible fault.
const fn table() -> [Option<Handler>; LINES] {
    let mut table = [None; LINES];
    table[Interrupt::Uart0 as usize] = Some(uart::interrupt as Handler);
    table[Interrupt::Ethernet as usize] = Some(ethernet::interrupt as Handler);
    table
}

// SAFETY: cortex-m-rt's linker script puts this section right behind the exception vectors and
// expects this name; a vector is a function pointer or zero.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [Option<Handler>; LINES] = table();
