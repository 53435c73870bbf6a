//! Processes that are measured.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A server that is ended with this value.
pub struct Server {
    child: Child,
    /// Kept open, because some servers print more and exit if their output is closed.
    _output: Option<BufReader<ChildStdout>>,
    pub address: String,
    pub path: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let begun = Instant::now();
        while self.child.try_wait().is_ok_and(|status| status.is_none()) {
            if begun.elapsed() > Duration::from_secs(5) {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Server {
    /// Starts a program that prints its URL.
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        output.read_line(&mut line).expect("a greeting");
        let url = line.split_whitespace().find_map(|word| word.strip_prefix("http://")).expect("a URL in the greeting");
        let (address, path) = url.split_once('/').expect("a path");
        let (address, path) = (address.to_owned(), format!("/{path}"));
        Self { child, _output: Some(output), address, path }
    }

    /// Starts a program on a port that it is given as `{port}`.
    pub fn on_port(command: &[String], path: &str) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let port = address.port().to_string();
        let words: Vec<String> = command.iter().map(|word| word.replace("{port}", &port)).collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", words[0]));
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{words:?} does not listen");
            std::thread::sleep(Duration::from_millis(100));
        }
        Self { child, _output: None, address: address.to_string(), path: path.to_owned() }
    }

    /// Returns the processor time of the process so far, in nanoseconds. Its threads live as long as it.
    pub fn time(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("a process");
        let of = |task: std::io::Result<std::fs::DirEntry>| {
            let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        };
        tasks.filter_map(of).sum()
    }

    /// Returns the resident memory of the process in bytes.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a process");
        let field = status.split("VmRSS:").nth(1).and_then(|rest| rest.split_whitespace().next());
        field.and_then(|kilobytes| kilobytes.parse::<u64>().ok()).expect("a number") * 1024
    }
}
