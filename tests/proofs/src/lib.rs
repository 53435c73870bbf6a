//! The link-time proofs: whatever a peer sends, the engine neither panics nor allocates nor formats.
//!
//! The panic handler calls a function that nobody defines. Each public entry of the engine has a function `proof_…`
//! here that feeds it foreign bytes; `run` links each of them by itself, dropping what it does not reach. Only if no
//! panic is reachable from it does the link succeed. There is no global allocator either, so an allocation does not even
//! build.
//!
//! Nothing a proof is fed is known to the compiler: the bytes are arguments of an `extern "C"` function, and the server
//! passes through [`black_box`](core::hint::black_box), so no check is folded away because of what stands in this
//! crate. Nothing a proof computes may be dropped either, so it ends in [`keep`].
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

/// Lets the compiler believe that `value` is used.
fn keep<T>(value: T) {
    core::hint::black_box(value);
}

/// Makes each function an entry with the C calling convention, which keeps its name and knows nothing of its arguments.
macro_rules! proofs {
    ($( $(#[doc = $doc:literal])+ fn $name:ident($foreign:ident, $out:ident) $body:block )+) => { $(
        $(#[doc = $doc])+
        ///
        /// # Safety
        /// `input` and `out` point to `len` and `room` bytes, which nobody else touches meanwhile.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(input: *const u8, len: usize, out: *mut u8, room: usize) {
            // SAFETY: what the two constructors ask for is what the caller promises.
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
    // SAFETY: a declaration that nothing defines, so no program with a call of it exists.
    unsafe extern "C" {
        safe fn __must_not_link_panic() -> !;
    }
    __must_not_link_panic()
}
