//! Child processes of the gate: their death, restart, limits and end, seen from outside of the program.
//!
//! The nine demands are those of `docs/gate.md`, "When a backend fails" and "Child processes".

use crate::access::{Directory, issuer, takes_tokens};
use crate::running::{Running, attache};
use core::time::Duration;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Instant;

/// A directory of one test, with a state directory of its own.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("attache-children-program-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("a directory");
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The lines of a file, which a child has written.
    fn lines(&self, name: &str) -> Vec<String> {
        fs::read_to_string(self.path(name)).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// A shell script that is a server with the tool `t`. It writes its process number to the file `pids`,
    /// runs `start`, and runs `call` for each call. `$id` is the id of the request.
    fn script(&self, start: &str, call: &str) -> PathBuf {
        let text = format!(
            r#"#!/bin/sh
echo $$ >>{pids}
{start}
while read -r line; do
    id=${{line#*'"id":'}}; id=${{id%%,*}}
    case "$line" in
    *server/discover*) echo '{{"jsonrpc":"2.0","id":'$id',"result":{{"supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{}},"resources":{{}}}},"instructions":"Use t."}}}}' ;;
    *tools/list*) echo '{{"jsonrpc":"2.0","id":'$id',"result":{{"resultType":"complete","tools":[{{"name":"t","inputSchema":{{"type":"object"}}}}]}}}}' ;;
    *templates/list*) echo '{{"jsonrpc":"2.0","id":'$id',"result":{{"resultType":"complete","resourceTemplates":[]}}}}' ;;
    *resources/list*) echo '{{"jsonrpc":"2.0","id":'$id',"result":{{"resultType":"complete","resources":[{{"uri":"a:b","name":"b"}}]}}}}' ;;
    *subscriptions/listen*) echo '{{"jsonrpc":"2.0","id":'$id',"error":{{"code":-32601,"message":"Method not found"}}}}' ;;
    *notifications/*) ;;
    *) {call} ;;
    esac
done
"#,
            pids = self.path("pids").display(),
        );
        let script = self.path("server.sh");
        fs::write(&script, text).expect("written");
        script
    }

    /// A gate with one backend that has these settings.
    fn gate(&self, settings: &str) -> Gate {
        self.gate_by(settings, |command| command)
    }

    fn gate_by(&self, settings: &str, edit: impl FnOnce(&mut Command) -> &mut Command) -> Gate {
        let file = self.path("attache.toml");
        let text = format!("[[server]]\n[[server.backend]]\nname = \"there\"\n{settings}\n");
        fs::write(&file, text).expect("written");
        let mut command = attache(&["serve", "--listen", "127.0.0.1:0", "--config", file.to_str().expect("UTF-8")]);
        command.env_remove("ATTACHE_DEMO").env("XDG_RUNTIME_DIR", self.path("run")).env_remove("RUNTIME_DIRECTORY");
        let log = fs::File::create(self.path("log")).expect("a file");
        edit(&mut command).stderr(log);
        Gate(Running::logging(command))
    }
}

/// A running gate.
struct Gate(Running);

impl Gate {
    fn url(&self) -> String {
        format!("http://{}/mcp", self.0.address())
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let url = self.url();
        let words = [&arguments[..1], &[url.as_str()], &arguments[1..]].concat();
        attache(&words).stdin(Stdio::null()).output().expect("it runs")
    }

    fn list(&self) -> String {
        let run = self.run(&["list"]);
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).expect("UTF-8")
    }

    /// The result of a call, or the error that the client prints.
    fn call(&self, tool: &str, arguments: &str) -> Result<String, String> {
        let run = self.run(&["call", tool, arguments]);
        let [out, error] = [run.stdout, run.stderr].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        if run.status.success() { Ok(out) } else { Err(format!("{out}{error}")) }
    }

    fn pid(&self) -> u32 {
        self.0.child.id()
    }
}

const X: &str =
    r#"echo '{"jsonrpc":"2.0","id":'$id',"result":{"resultType":"complete","content":[{"type":"text","text":"x"}]}}'"#;

fn signal(signal: &str, pid: impl core::fmt::Display) {
    let run = Command::new("kill").args([signal, &pid.to_string()]).status().expect("it runs");
    assert!(run.success(), "kill {signal} {pid}");
}

fn is_alive(pid: &str) -> bool {
    // A process that has ended and was not waited for yet does not count.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Waits until the condition holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(20));
    }
}

fn command(script: &Path) -> String {
    format!("command = [\"sh\", {:?}]\n", script.to_str().expect("UTF-8"))
}

#[test]
fn demand_1_death_is_noticed_by_the_exit_although_a_grandchild_holds_the_pipe_and_the_call_fails_in_words() {
    let place = Place::new("death");
    let call = format!("sleep 60 & echo $! >{}; echo 'out of paper' >&2; exit 7", place.path("grandchild").display());
    let gate = place.gate(&command(&place.script("", &call)));
    let begun = Instant::now();
    let error = gate.call("t", "{}").expect_err("the child dies");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(["exit status: 7", "out of paper"].iter().all(|words| error.contains(words)), "{error}");
    let grandchild = place.lines("grandchild").pop().expect("a pid");
    until("the grandchild has ended with its group", || !is_alive(&grandchild));
    // Demand 7: the exit status is in the log.
    until("the log has the exit status", || place.lines("log").iter().any(|line| line.contains("exit status: 7")));
}

#[test]
fn demand_1_readiness_and_metrics_tell_that_a_child_is_down() {
    let place = Place::new("ready");
    let script = place.script(&format!("[ -e {} ] && exit 7", place.path("off").display()), X);
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let figures = port.to_string();
    let gate = place.gate_by(&command(&script), |command| command.args(["--metrics-listen", &figures]));
    let get = |address: &str, path: &str| {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(address).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").expect("taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    let ready = || get(gate.0.address(), "/readyz");
    assert!(ready().starts_with("HTTP/1.1 200"), "{}", ready());
    fs::write(place.path("off"), "").expect("written");
    signal("-KILL", place.lines("pids").last().expect("a pid"));
    until("the gate is not ready", || {
        ready().starts_with("HTTP/1.1 503") && ready().contains("no backend of /mcp is connected: there down")
    });
    let has = |line: &str| get(&figures, "/metrics").lines().any(|known| known == line);
    assert!(has(r#"attache_backend_up{server="attache",backend="there"} 0"#));
    let counts = |reason: &str| {
        let line = format!("attache_backend_ends_total{{backend=\"there\",reason=\"{reason}\"}}");
        get(&figures, "/metrics").lines().any(|counted| counted.starts_with(&line))
    };
    until("the metrics have the exit status", || counts("exit status: 7") && counts("signal: 9 (SIGKILL)"));
    fs::remove_file(place.path("off")).expect("it was there");
    until("the gate is ready again", || ready().starts_with("HTTP/1.1 200"));
    assert!(has(r#"attache_backend_up{server="attache",backend="there"} 1"#));
    assert!(has(r#"attache_backend_restarts_total{server="attache",backend="there"} 1"#));
    assert_eq!(gate.call("t", "{}").as_deref(), Ok("x"));
    assert!(has(r#"attache_backend_calls_total{server="attache",backend="there",end="done"} 1"#));
    assert!(has(r#"attache_backend_seconds_count{server="attache",backend="there"} 1"#));
}

#[test]
fn demand_2_child_that_dies_at_its_start_is_started_less_and_less_often_and_the_gate_lives() {
    let place = Place::new("spin");
    let gate = place.gate(&format!("{}back_off = \"100ms\"", command(&place.script("exit 3", ":"))));
    // The gate has waited five seconds for the backend: starts after 0, 0.1, 0.3, 0.7, 1.5, 3.1 s, each
    // once for the probe and once for the handshake.
    let starts = place.lines("pids").len();
    assert!((6..=14).contains(&starts), "{starts} starts");
    assert!(gate.run(&["list"]).status.success(), "the gate answers");
}

#[test]
fn demand_2_wait_begins_with_its_first_value_after_a_life_that_lasted() {
    let place = Place::new("sustained");
    let gate = place.gate(&format!("{}back_off = \"300ms\"", command(&place.script("", X))));
    let restarted = |number: usize| {
        let begun = Instant::now();
        signal("-KILL", place.lines("pids").last().expect("a pid"));
        until("another child is started", || place.lines("pids").len() > number);
        let waited = begun.elapsed();
        // A child that ends during the handshake is started again at once.
        until("the child answers", || gate.call("t", "{}").is_ok());
        waited
    };
    // Deaths in a row: 300, 600 and 1,200 ms.
    let waits = [restarted(1), restarted(2), restarted(3)];
    assert!(waits[2] > Duration::from_millis(1000), "{waits:?}");
    sleep(Duration::from_secs(11));
    let begun = restarted(4);
    assert!(begun < Duration::from_millis(900), "{begun:?} after a life of eleven seconds");
    drop(gate);
}

#[test]
fn demand_2_child_of_a_caller_that_dies_at_its_start_is_not_started_by_every_call() {
    let place = Place::new("caller-spin");
    let keys = place.path("keys");
    let keys = keys.to_str().expect("UTF-8");
    let ann = added(keys, "ann");
    let script = place.script(r#"[ "$WHO" = ann ] && echo 'no licence' >&2 && exit 3"#, X);
    let settings = format!(
        "{}back_off = \"400ms\"\nper = \"caller\"\n[server.backend.callers.ann]\nenv = {{ WHO = \"ann\" }}\n",
        command(&script)
    );
    let gate = place.gate_by(&settings, |command| command.args(["--auth-keys-file", keys]));
    let begun = Instant::now();
    let mut calls = 0;
    while begun.elapsed() < Duration::from_secs(3) {
        let run = attache(&["call", &gate.url(), "t", "{}"]).env("ATTACHE_CLIENT_KEY", &ann).output().expect("it runs");
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(said.contains("exit status: 3") && said.contains("no licence"), "{said}");
        calls += 1;
    }
    // After 0, 0.4, 1.2 and 2.8 s, each once for the probe and once for the handshake; and the first child.
    let starts = place.lines("pids").len();
    assert!(calls > 10 && (3..=9).contains(&starts), "{starts} starts for {calls} calls");
}

#[test]
fn demand_3_call_during_a_restart_waits_and_one_that_was_written_is_not_made_again() {
    let place = Place::new("waits");
    let calls = place.path("calls");
    let call = format!("echo x >>{0}; if [ $(wc -l <{0}) -eq 1 ]; then exit 1; fi; {X}", calls.display());
    let gate = place.gate(&format!("{}back_off = \"1s\"", command(&place.script("", &call))));
    gate.call("t", "{}").expect_err("the child dies");
    assert_eq!(place.lines("calls").len(), 1, "the call was written, so it is not made again");
    let begun = Instant::now();
    assert_eq!(gate.call("t", "{}").as_deref(), Ok("x"));
    assert!(begun.elapsed() > Duration::from_millis(500), "it has waited for the child: {:?}", begun.elapsed());
    assert_eq!(place.lines("calls").len(), 2);
}

#[test]
fn demand_4_stopped_child_is_found_by_a_ping_and_a_busy_one_is_left_alone() {
    let place = Place::new("stopped");
    let settings = format!("{}check_every = \"300ms\"", command(&place.script("", &format!("sleep 2; {X}"))));
    let gate = place.gate(&settings);
    assert_eq!(gate.call("t", "{}").as_deref(), Ok("x"));
    assert_eq!(place.lines("pids").len(), 1, "a child that is busy for longer than the time of a ping lives on");
    let stopped = place.lines("pids").pop().expect("a pid");
    signal("-STOP", &stopped);
    until("another child is started", || place.lines("pids").len() > 1);
    until("the stopped child has ended", || !is_alive(&stopped));
    assert_eq!(gate.call("t", "{}").as_deref(), Ok("x"));
}

/// A child that ignores the end of its input and SIGTERM, with a grandchild that does so, too.
fn stubborn(place: &Place) -> PathBuf {
    let grandchild = place.path("grandchild");
    let start = format!(
        "trap '' TERM\nsh -c \"trap '' TERM; while :; do sleep 1; done\" </dev/null >/dev/null 2>&1 &\necho $! >>{}",
        grandchild.display()
    );
    let script = place.script(&start, X);
    let text = fs::read_to_string(&script).expect("written above");
    fs::write(&script, format!("{text}while :; do sleep 1; done\n")).expect("written");
    script
}

#[test]
fn demand_5_gate_that_is_killed_leaves_no_child_and_no_grandchild() {
    let place = Place::new("killed");
    let gate = place.gate(&command(&stubborn(&place)));
    assert!(gate.list().contains('t'));
    let pids = [place.lines("pids"), place.lines("grandchild")].concat();
    assert!(pids.len() == 2 && pids.iter().all(|pid| is_alive(pid)), "{pids:?}");
    signal("-KILL", gate.pid());
    for pid in &pids {
        until("a process has ended after the gate was killed", || !is_alive(pid));
    }
}

/// Whether a process catches or ignores SIGTERM.
fn handles_sigterm(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let handled = |line: &str| u64::from_str_radix(line.split_once(":\t")?.1.trim(), 16).ok();
    let masks = status.lines().filter(|line| line.starts_with("SigCgt:") || line.starts_with("SigIgn:"));
    masks.filter_map(handled).any(|mask| mask >> 14 & 1 == 1)
}

/// The watchdog of a process.
fn watchdog_of(parent: u32) -> Option<String> {
    let children = fs::read_dir("/proc").expect("Linux").flatten();
    children.filter_map(|entry| entry.file_name().into_string().ok()).find(|pid| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_ascii_whitespace().collect::<Vec<_>>());
        let is_child = fields.is_some_and(|fields| fields.get(1) == Some(&parent.to_string().as_str()));
        is_child && line.ends_with("\0watchdog\0")
    })
}

#[test]
fn demand_5_watchdog_that_is_killed_is_started_again_and_knows_the_children() {
    let place = Place::new("watchdog");
    let gate = place.gate(&command(&stubborn(&place)));
    let pids = [place.lines("pids"), place.lines("grandchild")].concat();
    let first = watchdog_of(gate.pid()).expect("a watchdog");
    until("the watchdog handles SIGTERM", || handles_sigterm(&first));
    // A service manager that stops a service sends this to all of its processes.
    signal("-TERM", &first);
    sleep(Duration::from_millis(200));
    assert!(is_alive(&first), "it lives for as long as the gate");
    signal("-KILL", &first);
    until("another watchdog is started", || watchdog_of(gate.pid()).is_some_and(|pid| pid != first));
    sleep(Duration::from_millis(200));
    signal("-KILL", gate.pid());
    for pid in &pids {
        until("a process has ended after the gate was killed", || !is_alive(pid));
    }
}

#[test]
fn demand_5_next_start_ends_what_was_left_when_the_watchdog_was_killed_as_well() {
    let place = Place::new("sweep");
    let settings = command(&stubborn(&place));
    let gate = place.gate(&settings);
    let pids = [place.lines("pids"), place.lines("grandchild")].concat();
    let watchdog = watchdog_of(gate.pid()).expect("a watchdog");
    // The watchdog must not see the end of the gate.
    signal("-STOP", &watchdog);
    signal("-KILL", gate.pid());
    signal("-KILL", &watchdog);
    sleep(Duration::from_millis(300));
    assert!(pids.iter().all(|pid| is_alive(pid)), "the children are orphans: {pids:?}");
    let next = place.gate(&settings);
    for pid in &pids {
        until("an orphan has ended at the next start", || !is_alive(pid));
    }
    drop(next);
}

#[test]
fn demand_6_idle_child_is_stopped_and_the_next_call_starts_it_again() {
    let place = Place::new("idle");
    let gate = place.gate(&format!("{}idle = \"1s\"", command(&place.script("", X))));
    let first = place.lines("pids").pop().expect("a pid");
    until("the idle child has ended", || !is_alive(&first));
    assert!(gate.list().contains('t'), "its tools stay in the list");
    assert_eq!(place.lines("pids").len(), 1, "the list needs no child");
    assert_eq!(gate.call("t", "{}").as_deref(), Ok("x"));
    assert_eq!(place.lines("pids").len(), 2);
    let second = place.lines("pids").pop().expect("a pid");
    for _ in 0..8 {
        sleep(Duration::from_millis(300));
        assert_eq!(gate.call("t", "{}").as_deref(), Ok("x"));
    }
    assert!(is_alive(&second), "a child that is used is not stopped");
}

#[test]
fn demand_6_child_that_takes_too_much_memory_or_too_many_processes_is_killed_and_its_call_says_why() {
    for (name, setting, call, words) in [
        ("memory", "memory = \"64MiB\"", "a=x; while :; do a=$a$a; done", "of memory, and may use 64 MiB"),
        (
            "processes",
            "processes = 8",
            "for i in 1 2 3 4 5 6 7 8 9; do sleep 30 & done; sleep 30",
            "processes, and may have 8",
        ),
    ] {
        let place = Place::new(name);
        let gate = place.gate(&format!("{}{setting}", command(&place.script("", call))));
        let error = gate.call("t", "{}").expect_err("it is killed");
        assert!(error.contains(words), "{name}: {error}");
    }
}

#[test]
fn demand_6_child_that_spins_is_slowed_down_to_its_share_of_a_core() {
    let place = Place::new("cpu");
    // Spins in a grandchild, which counts for the child.
    let gate = place.gate(&format!("{}cpu = 0.2", command(&place.script("(while :; do :; done) &", X))));
    let group = place.lines("pids").pop().expect("a pid");
    let used = || {
        let mut ticks = 0;
        for entry in fs::read_dir("/proc").expect("Linux").flatten() {
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let Some((_, rest)) = stat.rsplit_once(')') else { continue };
            let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
            if fields[2] == group {
                ticks += fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number");
            }
        }
        Duration::from_millis(ticks * 10)
    };
    sleep(Duration::from_secs(1));
    let before = used();
    sleep(Duration::from_secs(5));
    let share = (used() - before).as_secs_f64() / 5.0;
    assert!((0.02..0.4).contains(&share), "{share} of a core");
    assert_eq!(gate.call("t", "{}").as_deref(), Ok("x"), "it is slow, and lives");
}

#[test]
fn demand_6_more_children_than_allowed_are_refused_and_the_gate_lives() {
    let place = Place::new("most");
    let gate = place.gate_by(&command(&place.script("", X)), |command| command.args(["--children-most", "1"]));
    assert_eq!(gate.call("t", "{}").as_deref(), Ok("x"));
    let second = place.path("second.toml");
    let both = format!(
        "[[server]]\n[[server.backend]]\nname = \"a\"\n{0}[[server.backend]]\nname = \"b\"\nprefix = \"b_\"\n{0}",
        command(&place.path("server.sh"))
    );
    fs::write(&second, both).expect("written");
    let mut command = attache(&["serve", "--listen", "127.0.0.1:0", "--children-most", "1", "--config"]);
    command.arg(&second).env_remove("ATTACHE_DEMO").env("XDG_RUNTIME_DIR", place.path("run2"));
    let gate = Gate(Running::of(command));
    let list = gate.list();
    let offered = ["t", "b_t"].map(|tool| list.lines().any(|line| line.split_whitespace().next() == Some(tool)));
    assert!(offered == [true, false] || offered == [false, true], "one of them has a child: {list}");
}

#[test]
fn demand_7_last_lines_of_standard_error_are_told_and_no_more() {
    let place = Place::new("stderr");
    let call = "i=0; while [ $i -lt 100 ]; do echo \"line $i\" >&2; i=$((i+1)); done; exit 1";
    let gate = place.gate(&command(&place.script("", call)));
    let error = gate.call("t", "{}").expect_err("it dies");
    // The client shows the beginning of the message.
    assert!(error.contains("line 80") && error.contains("line 95") && !error.contains("line 79"), "{error}");
}

#[test]
fn demand_8_child_gets_a_minimal_environment() {
    let place = Place::new("environment");
    let script = place.script(&format!("env >{}", place.path("env").display()), X);
    let settings = format!("{}env = {{ MINE = \"1\" }}", command(&script));
    let gate =
        place.gate_by(&settings, |command| command.env("ATTACHE_SEAL_KEYS", "00".repeat(32)).env("SECRET", "s3cret"));
    until("the child has written it", || !place.lines("env").is_empty());
    let names: Vec<_> = place.lines("env").iter().filter_map(|line| Some(line.split_once('=')?.0.to_owned())).collect();
    let expected = ["HOME", "LOGNAME", "MINE", "OLDPWD", "PATH", "PWD", "SHELL", "SHLVL", "TERM", "USER", "_"];
    let extra: Vec<_> = names.iter().filter(|name| !expected.contains(&name.as_str())).collect();
    assert!(extra.is_empty() && names.contains(&"MINE".to_owned()), "{extra:?}");
    drop(gate);
}

/// The environment variable WHO of the child that answers.
const WHO: &str = r#"echo '{"jsonrpc":"2.0","id":'$id',"result":{"resultType":"complete","content":[{"type":"text","text":"'$WHO'"}]}}'"#;

#[test]
fn demand_8_each_caller_has_a_child_with_settings_of_the_configuration() {
    let place = Place::new("caller");
    let keys = place.path("keys");
    let keys = keys.to_str().expect("UTF-8");
    let [ann, bob] = ["ann", "bob"].map(|name| added(keys, name));
    let settings = format!(
        "{}per = \"caller\"\nenv = {{ WHO = \"anyone\" }}\n[server.backend.callers.ann]\nenv = {{ WHO = \"ann\" }}\n",
        command(&place.script("", WHO))
    );
    let gate = place.gate_by(&settings, |command| command.args(["--auth-keys-file", keys]));
    let call = |key: &str| {
        let run = attache(&["call", &gate.url(), "t", "{}"]).env("ATTACHE_CLIENT_KEY", key).output().expect("it runs");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8_lossy(&run.stdout).trim().to_owned()
    };
    assert_eq!([call(&ann), call(&bob), call(&ann)], ["ann", "anyone", "ann"]);
    // The first child has the lists, and each caller has one.
    assert_eq!(place.lines("pids").len(), 3);
}

#[test]
fn demand_8_settings_of_a_caller_with_a_token_are_those_of_issuer_and_subject() {
    let place = Place::new("token");
    let directory = Directory::new("children-token");
    let token = issuer(&directory);
    let settings = format!(
        "{}per = \"caller\"\nenv = {{ WHO = \"anyone\" }}\n[server.backend.callers.\"https://id.example ada\"]\n\
         env = {{ WHO = \"ada\" }}\n[server.backend.callers.bob]\nenv = {{ WHO = \"the key bob\" }}\n",
        command(&place.script("", WHO))
    );
    let gate = place.gate_by(&settings, |command| command.args(takes_tokens(&directory)));
    let call = |token: &str| {
        let file = place.path("token");
        fs::write(&file, token).expect("written");
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("own file");
        let run = attache(&["call", &gate.url(), "t", "{}", "--token-file"]).arg(&file).output().expect("it runs");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8_lossy(&run.stdout).trim().to_owned()
    };
    assert_eq!(call(&token(json!({}))), "ada");
    // The subject of a token is not the name of a key.
    assert_eq!(call(&token(json!({"sub": "bob"}))), "anyone");
}

#[test]
fn gate_of_a_command_takes_settings_of_children_as_flags() {
    let place = Place::new("flags");
    let script = place.script("", X);
    let start = |flags: &[&str]| {
        let mut command = attache(&[&["gate", "--listen", "127.0.0.1:0"], flags, &["--", "sh"]].concat());
        command.arg(&script).env("XDG_RUNTIME_DIR", place.path("run")).env_remove("RUNTIME_DIRECTORY");
        command
    };
    for (flags, words) in [
        (&["--idle", "soon"][..], &["--idle", "10min"][..]),
        (&["--memory", "much"], &["--memory", "512MiB"]),
        (&["--cpu", "0"], &["--cpu", "0.5"]),
        (&["--per", "user"], &["--per", "session or caller"]),
    ] {
        let run = start(flags).output().expect("it runs");
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.code() == Some(2) && words.iter().all(|word| said.contains(word)), "{flags:?}: {said}");
    }
    let gate = Gate(Running::of(start(&["--idle", "1s", "--memory", "64MiB", "--processes", "9", "--cpu", "1.5"])));
    assert_eq!(gate.call("t", "{}").as_deref(), Ok("x"));
    let pid = place.lines("pids").pop().expect("a pid");
    until("the idle child has ended", || !is_alive(&pid));
}

#[test]
fn demand_6_callers_beyond_the_most_children_are_told_to_try_again() {
    let place = Place::new("callers");
    let keys = place.path("keys");
    let keys = keys.to_str().expect("UTF-8");
    let [ann, bob] = ["ann", "bob"].map(|name| added(keys, name));
    let busy = format!(": >{}; sleep 3; {X}", place.path("busy").display());
    let settings = format!("{}per = \"caller\"\nchildren = 1", command(&place.script("", &busy)));
    let gate = place.gate_by(&settings, |command| command.args(["--auth-keys-file", keys]));
    let call = |key: &str| {
        let mut command = attache(&["call", &gate.url(), "t", "{}"]);
        command.env("ATTACHE_CLIENT_KEY", key).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("it starts")
    };
    let first = call(&ann);
    until("the call of ann runs", || place.path("busy").exists());
    let second = call(&bob).wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success() && said.contains("try again later"), "{said}");
    assert!(first.wait_with_output().expect("it ends").status.success());
    // The child of ann is idle now, and makes room.
    assert!(call(&bob).wait_with_output().expect("it ends").status.success());
}

#[test]
fn demand_8_each_session_of_an_older_client_has_a_child() {
    let place = Place::new("session");
    let gate = place.gate(&format!("{}per = \"session\"", command(&place.script("", WHO_PID))));
    let [first, second] = [Session::begin(gate.0.address()), Session::begin(gate.0.address())];
    let pids = [first.call(), second.call(), first.call(), second.call()];
    assert!(pids[0] == pids[2] && pids[1] == pids[3] && pids[0] != pids[1], "{pids:?}");
    assert_eq!(place.lines("pids").len(), 3, "the first child has the lists");
}

/// The process number of the child that answers.
const WHO_PID: &str = r#"echo '{"jsonrpc":"2.0","id":'$id',"result":{"resultType":"complete","content":[{"type":"text","text":"'$$'"}]}}'"#;

/// A session of a client of revision 2025-11-25.
struct Session {
    address: String,
    id: String,
}

impl Session {
    fn begin(address: &str) -> Self {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
        let (head, _) = post(address, "", body);
        let id = head.lines().find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("mcp-session-id: ").map(|_| line[16..].trim().to_owned())
        });
        Self { address: address.to_owned(), id: id.unwrap_or_else(|| panic!("no session: {head}")) }
    }

    fn call(&self) -> String {
        let body = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t","arguments":{}}}"#;
        let fields = format!("mcp-session-id: {}\r\nmcp-protocol-version: 2025-11-25\r\n", self.id);
        let (_, answer) = post(&self.address, &fields, body);
        let json = answer
            .lines()
            .find_map(|line| line.strip_prefix("data: ").filter(|data| data.starts_with('{')))
            .unwrap_or(&answer);
        let answer: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {answer}"));
        answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }
}

/// Head and body of the answer to a POST with these header fields.
fn post(address: &str, fields: &str, body: &str) -> (String, String) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    write!(
        stream,
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\n{fields}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("the request is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    (head.to_owned(), body.to_owned())
}

/// Adds a key to a file, and returns it.
fn added(keys: &str, name: &str) -> String {
    let run = attache(&["key", "add", name, "--keys-file", keys]).output().expect("it runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).expect("UTF-8").split_whitespace().last().expect("a key").to_owned()
}

#[test]
fn settings_of_children_that_cannot_work_stop_the_start() {
    let place = Place::new("faults");
    let url = "url = \"http://127.0.0.1:1/mcp\"\n";
    let sh = "command = [\"sh\"]\n";
    for (settings, words) in [
        (format!("{url}idle = \"1s\""), "idle has no use here"),
        (format!("{url}memory = \"1MiB\""), "memory has no use here"),
        (format!("{sh}idle = \"soon\""), "10min"),
        (format!("{sh}memory = 0"), "512MiB"),
        (format!("{sh}cpu = 0"), "0.5"),
        (format!("{sh}processes = 0"), "at least 1"),
        (format!("{sh}per = \"user\""), "process, session or caller"),
        (format!("{sh}when_down = \"maybe\""), "hide or fail"),
        (format!("{sh}[server.backend.callers.ann]\nenv = {{ A = \"b\" }}"), "per = \"caller\""),
        (format!("{sh}per = \"caller\"\n[server.backend.callers.ann]\nargs = []"), "callers"),
        (format!("{sh}url = \"http://127.0.0.1:{{port}}/mcp\""), "{port}"),
        ("command = [\"sh\", \"{port}\"]\nurl = \"http://127.0.0.1:80/mcp\"".to_owned(), "{port}"),
        (format!("{sh}tools_dir = \"/tmp\""), "needs one of"),
    ] {
        let file = place.path("attache.toml");
        fs::write(&file, format!("[[server]]\n[[server.backend]]\nname = \"a\"\n{settings}\n")).expect("written");
        let run = attache(&["check", "--config", file.to_str().expect("UTF-8")]).output().expect("it runs");
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(
            run.status.code() == Some(2) && said.contains(words) && said.contains("attache.toml:"),
            "{settings}: {said}"
        );
    }
}

#[test]
fn supervised_http_server_is_ready_when_it_answers_and_is_started_again_when_it_dies() {
    let place = Place::new("served");
    let program = env!("CARGO_BIN_EXE_attache");
    let start = format!(
        "#!/bin/sh\necho $$ >>{}\nsleep 1\nexec {program} serve --demo --listen 127.0.0.1:$1\n",
        place.path("pids").display()
    );
    let script = place.path("serve.sh");
    fs::write(&script, start).expect("written");
    let settings = format!(
        "command = [\"sh\", {:?}, \"{{port}}\"]\nurl = \"http://127.0.0.1:{{port}}/mcp\"\nback_off = \"100ms\"",
        script.to_str().expect("UTF-8")
    );
    let gate = place.gate(&settings);
    assert_eq!(gate.call("add", r#"{"a":1,"b":2}"#).as_deref(), Ok("3"));
    let first = place.lines("pids").pop().expect("a pid");
    signal("-KILL", &first);
    until("the call succeeds again", || gate.call("add", r#"{"a":1,"b":2}"#).as_deref() == Ok("3"));
    let second = place.lines("pids").pop().expect("a pid");
    assert!(first != second && is_alive(&second), "{first} {second}");
    signal("-KILL", gate.pid());
    until("the server has ended after the gate was killed", || !is_alive(&second));
}

#[test]
fn entries_of_a_backend_that_is_down_fail_fast_if_the_operator_wants_it() {
    let place = Place::new("down");
    let script = place.script(&format!("[ -e {} ] && exit 1", place.path("off").display()), X);
    let gate = place.gate(&format!("{}when_down = \"fail\"", command(&script)));
    fs::write(place.path("off"), "").expect("written");
    signal("-KILL", place.lines("pids").pop().expect("a pid"));
    sleep(Duration::from_secs(6));
    assert!(gate.list().contains('t'), "its tools stay in the list");
    let begun = Instant::now();
    gate.call("t", "{}").expect_err("it is down");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn same_tool_of_two_backends_stops_the_start_with_its_place_and_instructions_are_merged() {
    let place = Place::new("clash");
    let script = command(&place.script("", X));
    let file = place.path("attache.toml");
    let text = |prefix: &str| {
        format!(
            "instructions = \"Be brief.\"\n[[server]]\n[[server.backend]]\nname = \"a\"\n{script}[[server.backend]]\nname = \"b\"\n\
             {prefix}{script}"
        )
    };
    fs::write(&file, text("")).expect("written");
    let start = |file: &Path| {
        let mut command = attache(&["serve", "--listen", "127.0.0.1:0", "--config", file.to_str().expect("UTF-8")]);
        command.env_remove("ATTACHE_DEMO").env("XDG_RUNTIME_DIR", place.path("run"));
        command
    };
    let run = start(&file).output().expect("it runs");
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(2), "{said}");
    assert!(said.contains("attache.toml:6: backend \"b\"") && said.contains("set a prefix"), "{said}");
    fs::write(&file, text("prefix = \"b_\"\n")).expect("written");
    let mut command = start(&file);
    command.stderr(fs::File::create(place.path("log")).expect("a file"));
    let gate = Gate(Running::logging(command));
    // URIs have no prefix, so the same URI does not stop the start.
    let log = place.lines("log").join("\n");
    assert!(
        log.contains("attache.toml:6: backend \"b\"") && log.contains("\"a:b\"") && log.contains("named first"),
        "{log}"
    );
    let discovered = discovered(gate.0.address());
    let instructions = discovered["result"]["instructions"].as_str().expect("instructions");
    assert_eq!(instructions, "Be brief.\n\nUse t.\n\nFor the tools and prompts whose names begin with b_:\nUse t.");
}

/// The answer to `server/discover`.
fn discovered(address: &str) -> Value {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let (_, answer) = post(address, "mcp-protocol-version: 2026-07-28\r\nmcp-method: server/discover\r\n", body);
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// Calls of one client over one connection, one after the other.
struct Load {
    stream: std::io::BufReader<std::net::TcpStream>,
    address: String,
}

impl Load {
    fn new(address: &str) -> Self {
        let stream = std::net::TcpStream::connect(address).expect("it listens");
        Self { stream: std::io::BufReader::new(stream), address: address.to_owned() }
    }

    /// The answer to a call of the tool `t`.
    fn call(&mut self) -> Value {
        use std::io::{BufRead, Read, Write};
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
        let host = &self.address;
        write!(
            self.stream.get_mut(),
            "POST /mcp HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\n\
             mcp-name: t\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("the request is taken");
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).expect("a head");
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().expect("a length");
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("a body");
        serde_json::from_slice(&body).expect("JSON")
    }
}

/// Counts the descriptors, child processes and KiB of resident memory of the gate.
fn held(pid: u32) -> (usize, usize, u64) {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count();
    let is_child = |stat: String| {
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        fields.split_ascii_whitespace().nth(1) == Some(pid.to_string().as_str())
    };
    let processes = fs::read_dir("/proc").expect("Linux").flatten();
    let children = processes
        .filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok())
        .filter(|stat| is_child(stat.clone()));
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux");
    (descriptors, children.count(), resident.trim().trim_end_matches(" kB").parse().expect("a number"))
}

/// `TEST_ROUNDS=1000` is the whole test.
#[test]
fn child_that_is_killed_again_and_again_under_load_leaves_nothing_and_every_call_ends_in_time() {
    use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
    let rounds = std::env::var("TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(50);
    let place = Place::new("rounds");
    // A call takes long enough that some are in flight when the child is killed.
    let script = place.script("", &format!("sleep 0.01; {X}"));
    let gate = place.gate(&format!("{}back_off = \"10ms\"\nback_off_most = \"10ms\"", command(&script)));
    let address = gate.0.address().to_owned();
    let (stop, done, failed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let mut measured = Vec::new();
    let slowest = std::thread::scope(|scope| {
        let client = || {
            let mut load = Load::new(&address);
            let mut slowest = Duration::ZERO;
            while !stop.load(SeqCst) {
                let begun = Instant::now();
                let answer = load.call();
                slowest = slowest.max(begun.elapsed());
                let count = match answer["error"]["message"].as_str() {
                    Some(message) => {
                        assert!(message.contains("The backend there failed"), "{answer}");
                        &failed
                    }
                    None => {
                        assert_eq!(answer["result"]["content"][0]["text"], "x", "{answer}");
                        &done
                    }
                };
                count.fetch_add(1, SeqCst);
            }
            slowest
        };
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(client)).collect();
        for round in 0..rounds {
            let before = done.load(SeqCst);
            until("calls succeed", || done.load(SeqCst) > before);
            if round == rounds / 10 {
                measured.push(held(gate.pid()));
            }
            signal("-KILL", place.lines("pids").last().expect("a pid"));
            until("another child is started", || place.lines("pids").len() > round + 1);
        }
        let before = done.load(SeqCst);
        until("calls succeed", || done.load(SeqCst) > before);
        measured.push(held(gate.pid()));
        stop.store(true, SeqCst);
        clients.into_iter().map(|client| client.join().expect("no panic")).max()
    });
    let (slowest, [first, last]) = (slowest.expect("clients"), [measured[0], measured[1]]);
    println!(
        "{rounds} rounds: {done:?} results, {failed:?} errors, slowest call {slowest:?}, held {first:?} then {last:?}"
    );
    assert!(failed.load(SeqCst) > 0, "some calls were in flight");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert_eq!(last.1, first.1, "processes");
    assert!(last.0 <= first.0 + 2, "descriptors: {} then {}", first.0, last.0);
    assert!(last.2 <= first.2 + 2048, "KiB of resident memory: {} then {}", first.2, last.2);
}
