//! Link-time proofs: for any input of a peer, the engine neither panics nor allocates nor formats.
//!
//! The panic handler calls a function that is not defined anywhere. Each public entry of the engine
//! has a function `proof_…` here that feeds it foreign bytes; `run` links each of these functions
//! by itself and drops all unreachable code. The link succeeds only if no panic is reachable. The
//! crate has no global allocator either, so an allocation does not even build.
//!
//! The compiler knows nothing of a proof's input: the bytes are arguments of an `extern "C"`
//! function, and the server passes through [`black_box`](core::hint::black_box), so no check is
//! folded away because of constants in this crate. Nothing that a proof computes may be dropped
//! either, so it ends in [`keep`].
#![no_std]

mod auth;
mod client;
mod era;
mod exchange;
mod foreign;
mod http;
mod http1;
mod json;
mod line;
mod mcp;
mod negative;
mod rpc;
mod server;
mod tool;

/// Makes the compiler treat `value` as used.
fn keep<T>(value: T) {
    core::hint::black_box(value);
}

/// Makes each function an entry with the C calling convention, which keeps its name and knows
/// nothing of its arguments.
macro_rules! proofs {
    ($( $(#[doc = $doc:literal])+ fn $name:ident($foreign:ident, $out:ident) $body:block )+) => { $(
        $(#[doc = $doc])+
        ///
        /// # Safety
        /// `input` and `out` point to `len` and `room` bytes, which no other code touches during
        /// the call.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(input: *const u8, len: usize, out: *mut u8, room: usize) {
            // SAFETY: the caller promises what the two constructors require.
            let (input, $out) =
                unsafe { (core::slice::from_raw_parts(input, len), core::slice::from_raw_parts_mut(out, room)) };
            #[allow(unused_mut)]
            let mut $foreign = crate::foreign::Foreign::new(input);
            $body
        }
    )+ };
}
use proofs;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: a declaration without a definition, so no program with a call of it can link.
    unsafe extern "C" {
        safe fn __must_not_link_panic() -> !;
    }
    __must_not_link_panic()
}
