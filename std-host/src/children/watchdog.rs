//! The watchdog: a process that ends the groups of its parent when the parent is killed.
//!
//! The parent writes one line for each change: `+ GROUP START` for a group and the start time of its
//! leader, and `- GROUP` when the group has ended.

use super::ending;
use super::limits::WATCHDOG_PAUSE;
use super::process_table::{Groups, start_time};
use std::io::{self, BufRead, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Weak;
use std::thread;

/// Runs the watchdog: reads the groups from `input` until it ends, and then ends the groups that are
/// left. A program calls this in a process of its own, with its standard input.
pub fn watch_groups(input: impl BufRead) {
    let mut groups = Groups::new();
    // An input that cannot be read any more is as good as one that has ended.
    for line in input.lines().map_while(Result::ok) {
        read(&line, &mut groups);
    }
    let left: Vec<u32> = groups.into_iter().filter(|(group, start)| is_same(*group, *start)).map(|(g, _)| g).collect();
    if !left.is_empty() {
        eprintln!("attache: the parent has ended without stopping its child processes; ending {} groups", left.len());
        ending::end(&left);
    }
}

fn read(line: &str, groups: &mut Groups) {
    let mut words = line.split(' ');
    let (sign, group) = (words.next(), words.next().and_then(|group| group.parse().ok()));
    match (sign, group) {
        (Some("+"), Some(group)) => drop(groups.insert(group, words.next().and_then(|start| start.parse().ok()))),
        (Some("-"), Some(group)) => drop(groups.remove(&group)),
        _ => {}
    }
}

/// Whether the number still belongs to the group that was written down. The kernel does not give
/// the number to another process as long as the group has a member, so the answer is yes if
/// the leader has ended.
fn is_same(group: u32, start: Option<u64>) -> bool {
    match (start, start_time(group)) {
        (Some(start), Some(now)) => start == now,
        _ => true,
    }
}

/// The state of the parent that a watchdog belongs to.
pub(super) trait Parent: Send + Sync + 'static {
    /// Switches to another watchdog, and sends it all groups.
    fn follow_with(&self, watchdog: Watchdog);
}

/// The parent's handle of the watchdog.
#[derive(Debug)]
pub(super) struct Watchdog {
    /// Does not block. Closing it ends the watchdog.
    input: ChildStdin,
}

impl Watchdog {
    /// Starts the watchdog, and a thread that starts another one when it ends.
    pub(super) fn start(mut command: Command, parent: Weak<impl Parent>) -> io::Result<Self> {
        command.env_clear().stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::inherit());
        // A signal of the terminal, such as Ctrl-C, goes to the group of the parent only.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let (child, watchdog) = Self::spawn(&mut command)?;
        thread::Builder::new()
            .name("watchdog".to_owned())
            .stack_size(64 * 1024)
            .spawn(move || keep(child, &mut command, &parent))?;
        Ok(watchdog)
    }

    fn spawn(command: &mut Command) -> io::Result<(Child, Self)> {
        let mut child = command.spawn()?;
        let input = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        // A watchdog that was stopped must not stop its parent, too.
        #[cfg(unix)]
        rustix::fs::fcntl_setfl(&input, rustix::fs::OFlags::NONBLOCK)?;
        Ok((child, Self { input }))
    }

    pub(super) fn add(&mut self, group: u32, start: Option<u64>) {
        self.write(&match start {
            Some(start) => format!("+ {group} {start}\n"),
            None => format!("+ {group}\n"),
        });
    }

    pub(super) fn remove(&mut self, group: u32) {
        self.write(&format!("- {group}\n"));
    }

    /// A line is shorter than `PIPE_BUF`, so it is written as a whole or not at all (pipe(7)).
    fn write(&mut self, line: &str) {
        if let Err(error) = self.input.write_all(line.as_bytes()) {
            tracing::warn!(%error, "the watchdog of the child processes takes no message");
        }
    }
}

/// Waits for the end of the watchdog, and starts another one, for as long as the parent has a use for it.
fn keep(mut child: Child, command: &mut Command, parent: &Weak<impl Parent>) {
    loop {
        let status = child.wait();
        thread::sleep(WATCHDOG_PAUSE);
        let Some(parent) = parent.upgrade() else { return };
        tracing::warn!(?status, "the watchdog of the child processes has ended; another one is started");
        match Watchdog::spawn(command) {
            Ok((next, watchdog)) => {
                parent.follow_with(watchdog);
                child = next;
            }
            Err(error) => tracing::error!(%error, "the watchdog of the child processes cannot be started"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_parent_name_the_groups_that_run() {
        let mut groups = Groups::new();
        for line in ["+ 7 100", "+ 8 200", "- 7", "+ 9", "nonsense", "+ x 1", ""] {
            read(line, &mut groups);
        }
        assert_eq!(groups, Groups::from([(8, Some(200)), (9, None)]));
    }

    #[cfg(unix)]
    #[test]
    fn end_of_the_input_ends_the_groups_that_are_left_and_no_group_of_another_leader() {
        use std::os::unix::process::CommandExt;
        let start = || Command::new("sleep").arg("60").process_group(0).spawn().expect("it starts");
        let (mut left, mut ended, mut other) = (start(), start(), start());
        let at = |child: &Child| start_time(child.id()).unwrap_or_default();
        let told = format!(
            "+ {} {}\n+ {} {}\n+ {} {}\n- {2}\n",
            left.id(),
            at(&left),
            ended.id(),
            at(&ended),
            other.id(),
            at(&other) + 1
        );
        // The killed process has to be waited for, or its group stays.
        let waits = thread::spawn(move || left.wait().expect("it ends"));
        watch_groups(told.as_bytes());
        assert!(!waits.join().expect("it ends").success());
        for child in [&mut ended, &mut other] {
            assert!(child.try_wait().expect("it can be asked").is_none(), "it runs on");
            child.kill().expect("it ends");
            child.wait().expect("it ends");
        }
    }
}
