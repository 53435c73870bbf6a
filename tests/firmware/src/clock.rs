//! The time, in milliseconds since the start: SysTick counts them, and wakes the tasks that wait.

use core::cell::{Cell, RefCell};
use core::task::Waker;

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use critical_section::Mutex;
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

/// Cycles in a millisecond, at the clock after reset.
const MILLISECOND: u32 = 12_500;

struct Clock {
    now: Mutex<Cell<u64>>,
    /// The time of the next wake-up.
    next: Mutex<Cell<u64>>,
    waiting: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock {
    now: Mutex::new(Cell::new(0)),
    next: Mutex::new(Cell::new(u64::MAX)),
    waiting: Mutex::new(RefCell::new(Queue::new())),
});

impl Driver for Clock {
    fn now(&self) -> u64 {
        critical_section::with(|cs| self.now.borrow(cs).get())
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            if self.waiting.borrow_ref_mut(cs).schedule_wake(at, waker) {
                let next = self.next.borrow(cs);
                next.set(next.get().min(at));
            }
        });
    }
}

/// Starts the clock.
pub fn start(mut timer: SYST) {
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(MILLISECOND - 1);
    timer.clear_current();
    timer.enable_counter();
    timer.enable_interrupt();
}

#[exception]
fn SysTick() {
    critical_section::with(|cs| {
        let now = CLOCK.now.borrow(cs).get() + 1;
        CLOCK.now.borrow(cs).set(now);
        let next = CLOCK.next.borrow(cs);
        if now >= next.get() {
            next.set(CLOCK.waiting.borrow_ref_mut(cs).next_expiration(now));
        }
    });
}
