//! Control groups of the kernel (cgroup v2), where an administrator has delegated a part of the
//! hierarchy to this program.
//!
//! The kernel refuses what would exceed a limit at once; the watch over `/proc` sees it only at its
//! next check. With systemd: `Delegate=yes` and `DelegateSubgroup=gate`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The directory in which this program may make control groups.
#[derive(Debug)]
pub(super) struct Delegated(PathBuf);

/// The limits of a control group. Without a value there is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    pub(super) memory: Option<u64>,
    pub(super) processes: Option<usize>,
    pub(super) cpu: Option<f64>,
}

/// The controllers that have to be enabled in the directory.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];
/// The period of `cpu.max`, in microseconds: the kernel's own.
const PERIOD: f64 = 100_000.0;

impl Delegated {
    /// The directory, which is looked for once.
    pub(super) fn find() -> Option<&'static Self> {
        static FOUND: OnceLock<Option<Delegated>> = OnceLock::new();
        let found = || {
            let read = |path: &str| fs::read_to_string(path).ok();
            Self::of(&own_group(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?)?)
        };
        FOUND.get_or_init(found).as_ref()
    }

    /// The parent of the control group `own` of this program.
    // Documentation/admin-guide/cgroup-v2.rst, "No Internal Process Constraint": a group that has
    // processes of its own cannot give limits to groups below, so the program has to be in a group of
    // its own below the delegated one.
    fn of(own: &Path) -> Option<Self> {
        let directory = own.parent()?;
        let enabled = fs::read_to_string(directory.join("cgroup.subtree_control")).ok()?;
        let has_all = CONTROLLERS.iter().all(|controller| enabled.split_whitespace().any(|word| word == *controller));
        // The root of the hierarchy cannot be delegated.
        let is_root = !directory.join("cgroup.type").exists();
        let group = Self(directory.to_owned());
        let is_usable = has_all && !is_root && ControlGroup::make(&group.name("probe"), Limits::default()).is_ok();
        is_usable.then_some(group)
    }

    /// Makes a control group with these limits, and moves the process and its later children into it.
    ///
    /// # Errors
    /// If the kernel refuses a limit.
    pub(super) fn group(&self, process: u32, limits: Limits) -> io::Result<ControlGroup> {
        let group = ControlGroup::make(&self.name(&process.to_string()), limits)?;
        fs::write(group.0.join("cgroup.procs"), process.to_string())?;
        Ok(group)
    }

    fn name(&self, of: &str) -> PathBuf {
        self.0.join(format!("attache-{}-{of}", std::process::id()))
    }
}

/// A control group. Dropping it kills what is left in it, and removes it.
#[derive(Debug)]
pub(super) struct ControlGroup(PathBuf);

impl ControlGroup {
    fn make(directory: &Path, limits: Limits) -> io::Result<Self> {
        fs::create_dir(directory)?;
        let group = Self(directory.to_owned());
        let write = |file: &str, value: String| fs::write(group.0.join(file), value);
        if let Some(memory) = limits.memory {
            // The watch over /proc kills a group that exceeds its limit, and says so. The kernel's
            // limit is a quarter above: it holds a group that is faster than the watch.
            write("memory.max", (memory + memory / 4).to_string())?;
            write("memory.oom.group", "1".to_owned())?;
        }
        if let Some(processes) = limits.processes {
            // The watch needs one process more to see that there are too many.
            write("pids.max", (processes + 1).to_string())?;
        }
        if let Some(cpu) = limits.cpu {
            write("cpu.max", format!("{:.0} {PERIOD:.0}", (cpu * PERIOD).max(1_000.0)))?;
        }
        Ok(group)
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // Linux 5.14 and later.
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        let directory = core::mem::take(&mut self.0);
        // A group can be removed when its last process is gone.
        if fs::remove_dir(&directory).is_err() {
            let remove = move || {
                for _ in 0..REMOVALS {
                    std::thread::sleep(super::limits::STOP_CHECK);
                    if fs::remove_dir(&directory).is_ok() {
                        return;
                    }
                }
                tracing::debug!(directory = %directory.display(), "a control group was not removed");
            };
            let _ = std::thread::Builder::new().name("cgroup".to_owned()).spawn(remove);
        }
    }
}

/// Attempts to remove a group whose processes have been killed.
const REMOVALS: u32 = 100;

/// Returns the directory of the control group of this process. `mounts` and `groups` are its
/// `mountinfo` and `cgroup` in `/proc`.
fn own_group(mounts: &str, groups: &str) -> Option<PathBuf> {
    // proc_pid_mountinfo(5): fields up to a hyphen, the fourth is the root, the fifth the mount point;
    // behind it the type.
    let (root, point) = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let place = (fields.next()?, fields.next()?);
        (after.split(' ').next()? == "cgroup2").then_some(place)
    })?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let below = Path::new(path).strip_prefix(root).ok()?;
    Some(Path::new(point).join(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "30 25 0:26 / /sys rw,relatime shared:7 - sysfs sysfs rw\n\
                          35 30 0:30 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw\n";

    #[test]
    fn group_of_a_process_is_found_in_each_form() {
        for (mounts, groups, expected) in [
            (MOUNTS, "0::/system.slice/gate.service/gate\n", Some("/sys/fs/cgroup/system.slice/gate.service/gate")),
            (MOUNTS, "4:memory:/a\n0::/b\n", Some("/sys/fs/cgroup/b")),
            // A container that sees a part of the hierarchy.
            ("9 8 0:1 /pod /cg rw - cgroup2 none rw\n", "0::/pod/gate\n", Some("/cg/gate")),
            ("9 8 0:1 /pod /cg rw - cgroup2 none rw\n", "0::/other\n", None),
            (MOUNTS, "4:memory:/a\n", None),
            ("9 8 0:1 / /cg rw - tmpfs none rw\n", "0::/a\n", None),
        ] {
            assert_eq!(own_group(mounts, groups), expected.map(PathBuf::from), "{groups}");
        }
    }

    /// A directory with the files of a delegated group, which is removed at the end.
    struct Hierarchy(PathBuf);

    impl Hierarchy {
        fn new(name: &str, controllers: &str) -> Self {
            let path = std::env::temp_dir().join(format!("attache-cgroup-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(path.join("gate")).expect("a directory");
            fs::write(path.join("cgroup.subtree_control"), controllers).expect("written");
            fs::write(path.join("cgroup.type"), "domain\n").expect("written");
            Self(path)
        }
    }

    impl Drop for Hierarchy {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn limits_are_written_to_a_group_of_the_child() {
        let hierarchy = Hierarchy::new("limits", "cpu io memory pids\n");
        let delegated = Delegated::of(&hierarchy.0.join("gate")).expect("delegated");
        let limits = Limits { memory: Some(512 << 20), processes: Some(10), cpu: Some(0.5) };
        let group = delegated.group(42, limits).expect("a group");
        for (file, expected) in [
            ("memory.max", (640_u64 << 20).to_string()),
            ("memory.oom.group", "1".to_owned()),
            ("pids.max", "11".to_owned()),
            ("cpu.max", "50000 100000".to_owned()),
            ("cgroup.procs", "42".to_owned()),
        ] {
            assert_eq!(fs::read_to_string(group.0.join(file)).expect(file), expected, "{file}");
        }
    }

    #[test]
    fn hierarchy_that_is_not_delegated_is_not_used() {
        for (name, controllers) in [("none", ""), ("memory", "memory\n"), ("similar", "cpuset memory pids\n")] {
            let hierarchy = Hierarchy::new(name, controllers);
            assert!(Delegated::of(&hierarchy.0.join("gate")).is_none(), "{name}");
        }
        let root = Hierarchy::new("root", "cpu memory pids\n");
        fs::remove_file(root.0.join("cgroup.type")).expect("removed");
        assert!(Delegated::of(&root.0.join("gate")).is_none(), "the root");
    }
}
