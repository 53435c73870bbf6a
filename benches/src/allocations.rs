//! A global allocator that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which counts how often each thread asks it for memory. A program takes it as its
/// `#[global_allocator]`.
#[derive(Debug)]
pub struct Counting;

/// How often this thread has asked for memory so far; growing a block counts too, giving one back does not.
pub fn allocations() -> u64 {
    COUNT.get()
}

thread_local! {
    // By thread, so that tests running at the same time count for themselves. Without a destructor and with a constant
    // start, so that the counter itself needs no memory.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    COUNT.set(COUNT.get() + 1);
}

// SAFETY: every call is passed on as it came to the system's allocator, which keeps the contract; counting touches no
// block and allocates nothing.
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
        // SAFETY: the caller's promise, passed on; the block is the system's, as all of ours are.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as for `realloc`.
        unsafe { System.dealloc(block, layout) }
    }
}
