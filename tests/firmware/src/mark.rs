//! Two addresses between which `measure` counts instructions: from the last piece of a line in to
//! the first piece of its answer out, which is the engine's work and the tool's.
//!
//! The bodies are assembly alone, so the compiler can neither inline them nor move work that
//! touches memory across them; they differ, because the linker may merge equal functions. The
//! region is charged one instruction for its marks: the call of the second.

use core::arch::naked_asm;

use embedded_io_async::{ErrorType, Read, Write};

/// Puts the marks at both halves of a port.
pub fn around<R: Read, W: Write>(rx: R, tx: W) -> (impl Read<Error = R::Error>, impl Write<Error = W::Error>) {
    (MarkedRx(rx), MarkedTx(tx))
}

struct MarkedRx<R>(R);

impl<R: ErrorType> ErrorType for MarkedRx<R> {
    type Error = R::Error;
}

impl<R: Read> Read for MarkedRx<R> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, R::Error> {
        let read = self.0.read(buffer).await;
        begin();
        read
    }
}

struct MarkedTx<W>(W);

impl<W: ErrorType> ErrorType for MarkedTx<W> {
    type Error = W::Error;
}

impl<W: Write> Write for MarkedTx<W> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, W::Error> {
        end();
        self.0.write(bytes).await
    }

    async fn flush(&mut self) -> Result<(), W::Error> {
        self.0.flush().await
    }
}

// SAFETY: returns and changes nothing, as the C calling convention allows; the name is this
// program's own.
/// The measured region begins when this returns.
#[unsafe(naked)]
#[unsafe(export_name = "attache_mark_begin")]
pub extern "C" fn begin() {
    naked_asm!("bx lr");
}

// SAFETY: as above.
/// The measured region ends when this is called.
#[unsafe(naked)]
#[unsafe(export_name = "attache_mark_end")]
pub extern "C" fn end() {
    naked_asm!("nop", "bx lr");
}
