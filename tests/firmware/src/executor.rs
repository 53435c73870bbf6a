//! Runs the tasks and sleeps by WFI in between.
//!
//! embassy's own thread-mode executor sleeps by WFE. QEMU treats that as a yield, so an idle board
//! would keep one of the host's processors busy.

use core::sync::atomic::{AtomicBool, Ordering};

use cortex_m::{asm, interrupt};
use embassy_executor::{Spawner, raw};
use static_cell::StaticCell;

static EXECUTOR: StaticCell<raw::Executor> = StaticCell::new();

/// Set when a task was woken since the last poll began.
static PENDED: AtomicBool = AtomicBool::new(false);

// SAFETY: embassy-executor declares this symbol with this signature and leaves it to be defined once;
// its `executor-thread` feature, which would define it too, is off.
/// Called by embassy-executor, from tasks and interrupts, whenever a task becomes ready.
#[unsafe(export_name = "__pender")]
fn pender(_context: *mut ()) {
    PENDED.store(true, Ordering::Release);
}

/// Runs the tasks that `spawn` spawns, and those that they spawn, for ever.
pub fn run(spawn: impl FnOnce(Spawner)) -> ! {
    let executor: &'static raw::Executor = EXECUTOR.init(raw::Executor::new(core::ptr::null_mut()));
    spawn(executor.spawner());
    loop {
        // Cleared before the poll: a task woken during the poll must make another one follow.
        PENDED.store(false, Ordering::Release);
        // SAFETY: this is the only call of `poll`, it is not inside a task or an interrupt, and
        // `pender` does not call it, so it is never entered twice.
        unsafe { executor.poll() };
        sleep();
    }
}

/// Waits for an interrupt unless there is work.
fn sleep() {
    // A wake-up between the look and WFI would be slept through, so interrupts are held back.
    // WFI returns for a pending interrupt even then, and the handler runs on leaving.
    interrupt::free(|_| {
        if !PENDED.load(Ordering::Acquire) {
            asm::wfi();
        }
    });
}
