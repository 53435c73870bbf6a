//! Checks one signature while `measure --signatures` counts its instructions. That command writes
//! the test case to the page of flash.

#![no_std]
#![no_main]

#[path = "../fault.rs"]
mod fault;
#[path = "../mark.rs"]
#[expect(dead_code, reason = "there is no port to be marked")]
mod mark;
#[path = "../semihosting.rs"]
mod semihosting;

use attache_core::auth::{EdDsa, Es256, Rs256, Verify};
use cortex_m_rt::entry;

/// The image uses no interrupt: a null vector, which ends in a fault.
// SAFETY: cortex-m-rt's linker script expects this name and section; a vector is a function or zero.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [usize; 1] = [0];

#[entry]
fn main() -> ! {
    let Some(good) = verified(page()) else { semihosting::fail() };
    if !good {
        semihosting::fail();
    }
    semihosting::ready();
    loop {
        cortex_m::asm::wfi();
    }
}

/// The algorithm by its number; then key, message and signature, each behind its length.
fn verified(case: &[u8]) -> Option<bool> {
    let (algorithm, rest) = case.split_first()?;
    let (key, rest) = part(rest)?;
    let (message, rest) = part(rest)?;
    let (signature, _) = part(rest)?;
    // The cost of reading the key is not counted, because a program reads its keys once at the
    // start.
    Some(match algorithm {
        0 => timed(&Rs256::new(key, &[1, 0, 1])?, message, signature),
        1 => {
            let (x, y) = key.split_first_chunk()?;
            timed(&Es256::new(x, y.try_into().ok()?)?, message, signature)
        }
        _ => timed(&EdDsa::new(key.try_into().ok()?)?, message, signature),
    })
}

fn timed(key: &impl Verify, message: &[u8], signature: &[u8]) -> bool {
    mark::begin();
    let verified = key.verify(message, signature);
    mark::end();
    verified.is_ok()
}

fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u16::from_le_bytes(*length).into())
}

fn page() -> &'static [u8] {
    unsafe extern "C" {
        static __provisioned: [u8; 4096];
    }
    // SAFETY: as in callers.rs.
    unsafe { &*(&raw const __provisioned) }
}
