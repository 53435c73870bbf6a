//! The process table of the system, read from `/proc`. Other systems than Linux have no such table, and
//! every function returns `None` or nothing there.

use core::time::Duration;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The resources that the processes of a group use together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) processes: usize,
    /// Resident memory in bytes. A page that several processes share counts for each of them.
    pub(super) resident: u64,
    /// CPU time since each process has started, with that of children that were waited for.
    pub(super) cpu: Duration,
}

/// Process groups, each with the start time of its leader where the system tells it.
pub(super) type Groups = BTreeMap<u32, Option<u64>>;

/// The fields of `/proc/PID/stat` that are of use here (proc_pid_stat(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    state: u8,
    group: u32,
    cpu_ticks: u64,
    start: u64,
    resident_pages: u64,
}

/// Returns the start time of a process, in clock ticks since the start of the system. Together with the
/// process number and the start of the system, it identifies a process.
pub(super) fn start_time(pid: u32) -> Option<u64> {
    stat(pid).map(|stat| stat.start)
}

/// Whether the process of this number runs that has started at this time. A process that has ended and
/// was not waited for yet does not run.
pub(super) fn is_running(pid: u32, start: u64) -> bool {
    stat(pid).is_some_and(|stat| stat.start == start && stat.state != b'Z')
}

/// Returns a text that identifies this start of the system.
pub(super) fn boot_id() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|text| text.trim().to_owned())
}

/// Returns a text that identifies the namespace of the process numbers (pid_namespaces(7)).
pub(super) fn pid_namespace() -> String {
    fs::read_link("/proc/self/ns/pid").map(|link| link.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Returns the usage of a process group, at most `age` old. Groups that ask at the same time share one
/// pass over the table.
pub(super) fn usage(group: u32, age: Duration) -> Usage {
    type Table = Arc<HashMap<u32, Usage>>;
    static LAST: Mutex<Option<(Instant, Table)>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let table = match &*last {
        Some((at, table)) if at.elapsed() < age => Arc::clone(table),
        _ => {
            let table = Arc::new(read());
            *last = Some((Instant::now(), Arc::clone(&table)));
            table
        }
    };
    table.get(&group).copied().unwrap_or_default()
}

fn read() -> HashMap<u32, Usage> {
    let mut table: HashMap<u32, Usage> = HashMap::new();
    let Ok(entries) = fs::read_dir("/proc") else { return table };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // A process that has ended and was not waited for yet uses nothing.
    for stat in pids.filter_map(stat).filter(|stat| stat.state != b'Z') {
        let usage = table.entry(stat.group).or_default();
        usage.processes += 1;
        usage.resident += stat.resident_pages * page_size();
        usage.cpu += Duration::from_secs_f64(stat.cpu_ticks as f64 / ticks_per_second());
    }
    table
}

fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Parses `/proc/PID/stat`. The second field is the name of the program in parentheses, which may
/// contain spaces and parentheses itself.
fn parse(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    // utime, stime, cutime, cstime.
    let cpu_ticks = (11..15).map(number).sum::<Option<u64>>()?;
    Some(Stat {
        state: *fields.first()?.as_bytes().first()?,
        group: fields.get(2)?.parse().ok()?,
        cpu_ticks,
        start: number(19)?,
        resident_pages: number(21)?,
    })
}

#[cfg(target_os = "linux")]
fn page_size() -> u64 {
    rustix::param::page_size() as u64
}

#[cfg(target_os = "linux")]
fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

#[cfg(not(target_os = "linux"))]
const fn page_size() -> u64 {
    4096
}

#[cfg(not(target_os = "linux"))]
const fn ticks_per_second() -> f64 {
    100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_of_a_program_whose_name_looks_like_fields_is_read_from_its_end() {
        let text =
            "42 (a) R 1 (b)) S 1 42 7 0 -1 4194560 0 0 0 0 5 6 7 8 20 0 1 0 12345 1000 300 18446744073709551615 1";
        let stat = parse(text).expect("it is readable");
        assert_eq!(stat, Stat { state: b'S', group: 42, cpu_ticks: 26, start: 12345, resident_pages: 300 });
        assert_eq!(parse("42 (a) S 1"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn own_process_has_a_start_time_and_its_group_uses_memory() {
        let own = std::process::id();
        assert!(start_time(own).is_some_and(|time| time > 0));
        assert_eq!(start_time(own), start_time(own));
        let group = stat(own).expect("it exists").group;
        let usage = usage(group, Duration::ZERO);
        assert!(usage.processes >= 1 && usage.resident > 100_000, "{usage:?}");
        assert!(boot_id().is_some_and(|id| id.len() == 36));
    }
}
