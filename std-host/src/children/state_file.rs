//! The file that lists the running groups for the next start of the program.
//!
//! Each process has a file of its own in the directory, with these lines:
//!
//! ```text
//! boot BOOT-ID
//! namespace NAMESPACE
//! parent PID START
//! group PID START
//! ```

use super::ending;
use super::process_table::{Groups, boot_id, is_running, pid_namespace, start_time};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file of this process. Dropping it removes the file.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    head: String,
}

const PREFIX: &str = "children-";

impl StateFile {
    pub(super) fn create(directory: &Path) -> io::Result<Self> {
        let own = std::process::id();
        let start = start_time(own).unwrap_or_default();
        let (boot, namespace) = (boot_id().unwrap_or_default(), pid_namespace());
        let head = format!("boot {boot}\nnamespace {namespace}\nparent {own} {start}\n");
        let file = Self { path: directory.join(format!("{PREFIX}{own}")), head };
        file.write(&Groups::new())?;
        Ok(file)
    }

    /// Replaces the file, so that a reader never finds a part of it.
    pub(super) fn write(&self, groups: &Groups) -> io::Result<()> {
        let lines = groups.iter().filter_map(|(group, start)| Some(format!("group {group} {}\n", (*start)?)));
        let text = lines.fold(self.head.clone(), |text, line| text + &line);
        // A sweep of another process must not take it for a file of a process.
        let fresh = self.path.with_file_name(format!(".fresh-{}", std::process::id()));
        fs::write(&fresh, text)?;
        fs::rename(fresh, &self.path)
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Ends the groups that processes have left which do not run any more. A group counts only if its
/// leader has the process number and the start time that were written down, since the same start of the
/// system.
pub(super) fn sweep(directory: &Path) -> io::Result<()> {
    prepare(directory)?;
    let (boot, namespace) = (boot_id(), pid_namespace());
    let mut left = Vec::new();
    for entry in fs::read_dir(directory)?.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        let written = Written::of(&text);
        // Process numbers of another container mean other processes here.
        if written.namespace.is_some_and(|written| written != namespace) {
            continue;
        }
        let is_running = written.parent.is_some_and(|(pid, start)| is_running(pid, start));
        let is_this_boot = boot.is_some() && written.boot == boot.as_deref();
        if is_running && is_this_boot {
            continue;
        }
        if is_this_boot {
            let is_same = |(pid, start): &(u32, u64)| start_time(*pid) == Some(*start);
            left.extend(written.groups.into_iter().filter(is_same).map(|(pid, _)| pid));
        }
        let _ = fs::remove_file(entry.path());
    }
    if !left.is_empty() {
        tracing::warn!(groups = left.len(), "ending child processes that an earlier run has left");
        ending::end(&left);
    }
    Ok(())
}

/// The content of a file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Written<'a> {
    boot: Option<&'a str>,
    namespace: Option<&'a str>,
    parent: Option<(u32, u64)>,
    groups: Vec<(u32, u64)>,
}

impl<'a> Written<'a> {
    fn of(text: &'a str) -> Self {
        let mut written = Self::default();
        let process = |words: &str| {
            let (pid, start) = words.split_once(' ')?;
            Some((pid.parse().ok()?, start.parse().ok()?))
        };
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("boot", id)) => written.boot = Some(id),
                Some(("namespace", id)) => written.namespace = Some(id),
                Some(("parent", words)) => written.parent = process(words),
                Some(("group", words)) => written.groups.extend(process(words)),
                _ => {}
            }
        }
        written
    }
}

/// Creates the directory if it is missing, and refuses one that another user could write: the file says
/// which processes are killed.
#[cfg(unix)]
fn prepare(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let metadata = fs::symlink_metadata(directory)?;
    let own = rustix::process::geteuid().as_raw();
    if !metadata.is_dir() || metadata.uid() != own || metadata.mode() & 0o022 != 0 {
        let why = format!("{} must be a directory that only user {own} can write", directory.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    Ok(())
}

#[cfg(not(unix))]
fn prepare(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    fn directory(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("attache-children-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        prepare(&directory).expect("a directory");
        directory
    }

    fn group() -> Child {
        Command::new("sleep").arg("60").process_group(0).spawn().expect("it starts")
    }

    #[test]
    fn sweep_ends_only_groups_of_a_parent_that_has_ended_with_leaders_that_are_the_same() {
        let directory = directory("sweep");
        let (boot, own) = (boot_id().expect("Linux"), std::process::id());
        let start = |child: &Child| start_time(child.id()).expect("it runs");
        let here = pid_namespace();
        for (what, boot, namespace, parent_runs, shift, ends) in [
            ("left", boot.as_str(), here.as_str(), false, 0, true),
            ("another leader", &boot, &here, false, 1, false),
            ("a parent that runs", &boot, &here, true, 0, false),
            ("another boot", "00000000-0000-0000-0000-000000000000", &here, false, 0, false),
            ("another container", &boot, "pid:[1]", false, 0, false),
        ] {
            let mut child = group();
            let parent = if parent_runs { start_time(own).expect("it runs") } else { 1 };
            let head = format!("boot {boot}\nnamespace {namespace}\nparent {own} {parent}\n");
            let text = format!("{head}group {} {}\n", child.id(), start(&child) + shift);
            let file = directory.join("children-1");
            fs::write(&file, text).expect("written");
            let waits = std::thread::spawn(move || {
                let until = std::time::Instant::now() + core::time::Duration::from_millis(700);
                while std::time::Instant::now() < until {
                    if child.try_wait().expect("it can be asked").is_some() {
                        return true;
                    }
                    std::thread::sleep(core::time::Duration::from_millis(10));
                }
                child.kill().expect("it ends");
                child.wait().expect("it ends");
                false
            });
            sweep(&directory).expect("it can be read");
            assert_eq!(waits.join().expect("no panic"), ends, "{what}");
            assert_eq!(file.exists(), parent_runs || namespace != here, "{what}");
        }
    }

    #[test]
    fn file_lists_the_groups_and_is_removed_with_its_owner() {
        let directory = directory("file");
        let file = StateFile::create(&directory).expect("written");
        file.write(&Groups::from([(7, Some(70)), (8, None)])).expect("written");
        let text = fs::read_to_string(&file.path).expect("it is there");
        let written = Written::of(&text);
        assert_eq!(written.groups, [(7, 70)], "a group without a start time cannot be recognized");
        assert_eq!(written.parent.map(|(pid, _)| pid), Some(std::process::id()));
        let path = file.path.clone();
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn directory_that_others_can_write_is_refused() {
        let directory = directory("open");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).expect("own directory");
        let error = sweep(&directory).expect_err("anyone could write it");
        assert!(error.to_string().contains("only user"), "{error}");
    }
}
