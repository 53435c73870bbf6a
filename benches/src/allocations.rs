//! A global allocator that counts allocations.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which counts the allocations of each thread. A program declares it as
/// its `#[global_allocator]`.
#[derive(Debug)]
pub struct Counting;

/// Returns the number of allocations of this thread so far. Growing a block counts, freeing one
/// does not.
pub fn allocations() -> u64 {
    COUNT.get()
}

thread_local! {
    // A counter for each thread, so that tests that run at the same time count their own
    // allocations only. It has no destructor and a constant initial value, so that the counter
    // itself needs no allocation.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    COUNT.set(COUNT.get() + 1);
}

// SAFETY: every call goes unchanged to the system's allocator, which keeps the contract; counting
// touches no block and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise, passed on; the system's allocator made the block, as it
        // makes all of ours.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as for `realloc`.
        unsafe { System.dealloc(block, layout) }
    }
}
