//! Entries that break a rule, each behind its feature. `run` must find them: a proof that cannot
//! fail proves nothing.

#[cfg(feature = "negative-alloc")]
extern crate alloc;

#[cfg(feature = "negative-panic")]
crate::proofs! {
    /// Panics if the input is shorter than its first byte says.
    fn proof_negative_panic(foreign, _out) {
        let place = usize::from(foreign.byte());
        crate::keep(foreign.rest()[place]);
    }
}

#[cfg(feature = "negative-fmt")]
crate::proofs! {
    /// Formats a number. That cannot panic, but it links the formatting machinery with its indirect
    /// calls.
    fn proof_negative_fmt(foreign, out) {
        use core::fmt::Write;
        let mut said = attache_core::json::Slice::new(out);
        struct Into<'a, 'b>(&'a mut attache_core::json::Slice<'b>);
        impl Write for Into<'_, '_> {
            fn write_str(&mut self, text: &str) -> core::fmt::Result {
                attache_core::json::Sink::put(self.0, text.as_bytes()).map_err(|_| core::fmt::Error)
            }
        }
        crate::keep(write!(Into(&mut said), "{}", foreign.number()));
    }
}

#[cfg(feature = "negative-alloc")]
crate::proofs! {
    /// Allocates.
    fn proof_negative_alloc(foreign, _out) {
        let mut bytes = alloc::vec::Vec::new();
        bytes.push(foreign.byte());
        crate::keep(bytes);
    }
}
