//! Measures the processor time of a call. Starts each server in turn, several times, and prints the
//! user and system time of all its threads as counted by the scheduler.

use crate::load;
use core::time::Duration;
use jsonwebtoken::EncodingKey;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};

/// Rounds for each server; the median is printed.
const ROUNDS: usize = 7;

/// The time that a server takes to become idle.
const SETTLE: Duration = Duration::from_millis(500);

/// The number of idle connections to measure, and how many bytes more than bare hyper ours may take
/// for each.
const IDLE: usize = 1900;
const MORE: u64 = 1024;

/// A running server.
struct Server {
    child: Child,
    /// Kept open, because some servers print more and exit if their output is closed.
    _output: BufReader<ChildStdout>,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        output.read_line(&mut line).expect("a greeting");
        let url =
            line.split_whitespace().find_map(|word| word.strip_prefix("http://")).expect("the greeting names the URL");
        let address = url.split('/').next().unwrap_or_default().to_owned();
        Self { child, _output: output, address }
    }

    /// Returns the processor time so far in nanoseconds. The threads of these servers live as long
    /// as the process.
    fn time(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("a process");
        let of = |task: std::io::Result<std::fs::DirEntry>| {
            let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        };
        tasks.filter_map(of).sum()
    }

    /// Returns the resident memory in bytes.
    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a process");
        let field = status.split("VmRSS:").nth(1).and_then(|rest| rest.split_whitespace().next());
        field.and_then(|kilobytes| kilobytes.parse::<u64>().ok()).expect("a number") * 1024
    }

    /// Returns the bytes for each of `count` idle connections. Some connections are opened first,
    /// so that shared memory is already allocated.
    fn idle(&self, count: usize) -> u64 {
        let first = load::idle(&self.address, 50);
        std::thread::sleep(SETTLE);
        let before = self.resident();
        let rest = load::idle(&self.address, count);
        std::thread::sleep(SETTLE);
        let cost = (self.resident() - before) / count as u64;
        drop((first, rest));
        cost
    }

    /// Returns the microseconds for each of `calls` calls. A tenth as many calls run first as a
    /// warm-up.
    fn cost(&self, tokens: &Tokens<'_>, calls: usize) -> f64 {
        let (warm, seen) = match tokens {
            Tokens::None => (&[][..], &[][..]),
            Tokens::Seen(all) => (*all, *all),
            Tokens::New(all) => all.split_at(all.len() / 11),
        };
        load::send(&self.address, warm, (calls / 10).max(warm.len()));
        let before = self.time();
        load::send(&self.address, seen, calls);
        (self.time() - before) as f64 / 1000.0 / calls as f64
    }
}

enum Tokens<'a> {
    None,
    /// The same tokens again and again.
    Seen(&'a [String]),
    /// Each token is used once.
    New(&'a [String]),
}

/// One comparison: our arguments, the peer, and the largest permitted ratio of our time to the
/// peer's, with room for the noise of a machine.
struct Bar<'a> {
    what: &'a str,
    ours: &'a [&'a str],
    peer: (&'a str, &'a [&'a str]),
    tokens: Tokens<'a>,
    calls: usize,
    most: f64,
}

pub fn run(attache: &str, calls: usize) -> ExitCode {
    let scratch = std::env::temp_dir().join(format!("attache-peers-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).expect("a directory");
    let met = compare(attache, calls, &scratch);
    let _ = std::fs::remove_dir_all(&scratch);
    if met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn compare(attache: &str, calls: usize, scratch: &Path) -> bool {
    let file = |name: &str| scratch.join(name).to_str().expect("UTF-8").to_owned();
    let [private, public, keys] = ["private.pem", "public.pem", "jwks.json"].map(file);
    std::fs::write(&keys, make_keys(&private, &public)).expect("a file");
    let key = EncodingKey::from_rsa_pem(&std::fs::read(&private).expect("a key")).expect("a key");
    let seen = load::tokens(&key, 64);
    // The warm-up needs additional tokens.
    let new_calls = calls / 2;
    let new = load::tokens(&key, new_calls + new_calls / 10 + 1);
    let own = std::env::current_exe().expect("this program");
    let own = own.to_str().expect("UTF-8");
    let open = ["serve", "--demo", "--listen", "127.0.0.1:0"];
    let guarded = [
        &open[..],
        &["--auth-issuer", load::ISSUER, "--auth-jwks-file", &keys, "--auth-resource", load::RESOURCE],
        &["--auth-applications", "app"],
    ]
    .concat();
    let sdk_guarded = ["sdk", &public];
    let bars = [
        Bar { what: "bare hyper", ours: &open, peer: (own, &["bare"]), tokens: Tokens::None, calls, most: 2.4 },
        Bar { what: "official SDK", ours: &open, peer: (own, &["sdk"]), tokens: Tokens::None, calls, most: 0.45 },
        Bar {
            what: "official SDK, 64 tokens",
            ours: &guarded,
            peer: (own, &sdk_guarded),
            tokens: Tokens::Seen(&seen),
            calls,
            most: 0.32,
        },
        Bar {
            what: "official SDK, each token new",
            ours: &guarded,
            peer: (own, &sdk_guarded),
            tokens: Tokens::New(&new),
            calls: new_calls,
            most: 0.7,
        },
    ];
    println!("| Peer | µs of the peer | µs of attache | ratio | bar |\n|---|--:|--:|--:|--:|");
    let mut met = true;
    for Bar { what, ours, peer, tokens, calls, most } in bars {
        let mut rounds: Vec<(f64, f64, f64)> = (0..ROUNDS)
            .map(|_| {
                let theirs = Server::start(peer.0, peer.1).cost(&tokens, calls);
                let ours = Server::start(attache, ours).cost(&tokens, calls);
                (ours / theirs, ours, theirs)
            })
            .collect();
        rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (ratio, ours, theirs) = rounds[ROUNDS / 2];
        println!("| {what} | {theirs:.1} | {ours:.1} | {ratio:.2} | {most:.2} |");
        met &= ratio <= most;
    }
    let median = |start: &dyn Fn() -> Server| {
        let mut rounds: Vec<u64> = (0..3).map(|_| start().idle(IDLE)).collect();
        rounds.sort_unstable();
        rounds[1]
    };
    let [bare, sdk] = ["bare", "sdk"].map(|peer| median(&|| Server::start(own, &[peer])));
    let ours = median(&|| Server::start(attache, &open));
    println!(
        "\nBytes of each of {IDLE} idle connections: bare hyper {bare}, attache {ours}, official SDK {sdk}; {MORE} more than bare hyper are the bar"
    );
    met && ours <= bare + MORE
}

/// Makes an RSA key pair in two files, and returns its key set (JWKS).
fn make_keys(private: &str, public: &str) -> String {
    let openssl = |arguments: &[&str]| {
        let ran = Command::new("openssl").args(arguments).output().expect("openssl is installed");
        assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).expect("UTF-8")
    };
    openssl(&["genrsa", "-traditional", "-out", private, "2048"]);
    openssl(&["rsa", "-in", private, "-pubout", "-out", public]);
    let modulus = openssl(&["rsa", "-in", private, "-noout", "-modulus"]);
    let hex = modulus.trim().strip_prefix("Modulus=").expect("a modulus");
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
    let n = base64url(&bytes);
    format!(r#"{{"keys":[{{"kty":"RSA","kid":"k","n":"{n}","e":"AQAB"}}]}}"#)
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
