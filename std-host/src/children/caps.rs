//! Limits of what a child and its descendants may use. They are watched through `/proc`, and the
//! kernel holds them where control groups are delegated to this program.
//!
//! `RLIMIT_AS` is not used: Node.js reserves more address space than it uses, and does not start under
//! such a limit.

#[cfg(target_os = "linux")]
use super::control_group::{ControlGroup, Delegated, Limits};
use super::group::Group;
use super::limits::{CAPS_CHECK, CPU_BURST, CPU_CHECK};
use super::process_table::{Usage, usage};
use super::signal::Signal;
use core::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

/// Limits of a child together with the processes that it has started. Without a value there is no limit.
/// They work on Linux only.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Caps {
    memory: Option<u64>,
    processes: Option<usize>,
    cpu: Option<f64>,
}

impl Caps {
    /// Kills the child when its group has more resident memory than this many bytes. A page that
    /// several processes share counts for each of them.
    pub const fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Kills the child when its group has more processes than this.
    pub const fn processes(mut self, most: usize) -> Self {
        self.processes = Some(most);
        self
    }

    /// Slows the child down when its group uses more CPU time than this many cores: it is stopped and
    /// continued several times a second. `0.5` is half of one core.
    pub const fn cpu(mut self, cores: f64) -> Self {
        self.cpu = Some(cores);
        self
    }

    /// Applies the limits to a group for as long as this future is polled, and returns the reason when
    /// the group has to be killed. Never returns if there is no such reason.
    pub(crate) async fn exceeded(&self, group: &Group) -> String {
        let Some(id) = group.id().filter(|_| *self != Self::default()) else {
            return core::future::pending().await;
        };
        // It lives as long as this future.
        let control_group = self.control_group(id);
        let watched_cpu = self.cpu.filter(|_| control_group.is_none());
        let every = if watched_cpu.is_some() { CPU_CHECK } else { CAPS_CHECK };
        let mut throttle = watched_cpu.map(Throttle::new);
        loop {
            sleep(every).await;
            // Reading the process table takes a few milliseconds.
            let Ok(used) = spawn_blocking(move || usage(id, every / 2)).await else { continue };
            if let Some(reason) = self.reason(used) {
                return reason;
            }
            if let Some(signal) = throttle.as_mut().and_then(|throttle| throttle.next(Instant::now(), used.cpu)) {
                group.signal(signal);
            }
        }
    }

    /// Puts a child into a control group with these limits, if control groups are delegated.
    #[cfg(target_os = "linux")]
    fn control_group(&self, child: u32) -> Option<ControlGroup> {
        let limits = Limits { memory: self.memory, processes: self.processes, cpu: self.cpu };
        let made = Delegated::find()?.group(child, limits);
        made.inspect_err(|error| tracing::warn!(%error, "a child has no control group: its limits are watched alone"))
            .ok()
    }

    #[cfg(not(target_os = "linux"))]
    const fn control_group(&self, _: u32) -> Option<()> {
        None
    }

    fn reason(&self, used: Usage) -> Option<String> {
        let mebibytes = |bytes: u64| bytes / (1 << 20);
        match (self.memory, self.processes) {
            (Some(most), _) if used.resident > most => Some(format!(
                "killed because it used {} MiB of memory, and may use {} MiB",
                mebibytes(used.resident),
                mebibytes(most)
            )),
            (_, Some(most)) if used.processes > most => {
                Some(format!("killed because it had {} processes, and may have {most}", used.processes))
            }
            _ => None,
        }
    }
}

/// Decides when a group is stopped and continued, so that it uses so many cores on average.
#[derive(Debug)]
struct Throttle {
    cores: f64,
    last: Option<(Instant, Duration)>,
    /// CPU time in seconds that the group may use before it is stopped.
    budget: f64,
    is_stopped: bool,
}

impl Throttle {
    fn new(cores: f64) -> Self {
        Self { cores, last: None, budget: cores * CPU_BURST.as_secs_f64(), is_stopped: false }
    }

    /// Takes a measurement of the CPU time since the start of the group, and returns the signal that it
    /// calls for.
    fn next(&mut self, now: Instant, cpu: Duration) -> Option<Signal> {
        let (then, before) = self.last.replace((now, cpu)).unwrap_or((now, Duration::ZERO));
        let passed = now.duration_since(then).as_secs_f64();
        // The sum shrinks when a process ends whose parent did not wait for it.
        let used = cpu.saturating_sub(before).as_secs_f64();
        self.budget = (self.budget + passed * self.cores - used).min(self.cores * CPU_BURST.as_secs_f64());
        match (self.budget < 0.0, self.is_stopped) {
            (true, false) => {
                self.is_stopped = true;
                Some(Signal::Stop)
            }
            (false, true) => {
                self.is_stopped = false;
                Some(Signal::Continue)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_is_stopped_when_its_cpu_time_is_used_up_and_continued_when_it_has_some_again() {
        let mut throttle = Throttle::new(0.5);
        let start = Instant::now();
        let mut stops = 0;
        let (mut cpu, mut is_stopped) = (Duration::ZERO, false);
        for tick in 0..100_u32 {
            // The group uses one core whenever it is not stopped.
            cpu += if is_stopped { Duration::ZERO } else { CPU_CHECK };
            match throttle.next(start + CPU_CHECK * tick, cpu) {
                Some(Signal::Stop) => (is_stopped, stops) = (true, stops + 1),
                Some(Signal::Continue) => is_stopped = false,
                _ => {}
            }
        }
        // Ten seconds at half a core, and the burst.
        let used = cpu.as_secs_f64();
        assert!((5.0..=6.0).contains(&used), "{used} s");
        assert!(stops > 10, "{stops}");
    }

    #[test]
    fn reason_names_what_was_used_and_what_may_be_used() {
        let caps = Caps::default().memory(1 << 20).processes(3);
        assert_eq!(caps.reason(Usage { resident: 1 << 20, processes: 3, ..Usage::default() }), None);
        let reason = caps.reason(Usage { resident: 3 << 20, ..Usage::default() }).expect("too much");
        assert!(reason.contains("3 MiB") && reason.contains("1 MiB"), "{reason}");
        let reason = caps.reason(Usage { processes: 4, ..Usage::default() }).expect("too many");
        assert!(reason.contains("4 processes") && reason.contains("may have 3"), "{reason}");
    }
}
