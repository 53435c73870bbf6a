//! Servers that run as child processes of the client: their start, their death, and their end.

use attache_host::client::{Call, Client, ClientBuilder, ClientLimits, Error, Event, RawJson, Request, ServerCommand};
use core::time::Duration;
use std::path::PathBuf;
use std::time::Instant;
use tokio::time::{sleep, timeout};

fn builder() -> ClientBuilder {
    let limits = ClientLimits::default().probe_time(Duration::from_secs(5)).handshake_time(Duration::from_secs(5));
    Client::builder("test", "1").limits(limits)
}

/// A server in the language of the shell, which answers `server/discover` and then does what `calls` says with each call;
/// `$id` is its id.
fn script(calls: &str) -> ServerCommand {
    let text = format!(
        r#"while read -r line; do
            id=${{line#*'"id":'}}; id=${{id%%,*}}
            case "$line" in
            *server/discover*) echo '{{"jsonrpc":"2.0","id":'$id',"result":{{"supportedVersions":["2026-07-28"],"capabilities":{{}}}}}}' ;;
            *notifications/*) ;;
            *) {calls} ;;
            esac
        done"#
    );
    ServerCommand::new("sh", ["-c", &text])
}

const ANSWER: &str = r#"echo '{"jsonrpc":"2.0","id":'$id',"result":{"content":[]}}'"#;

async fn end(call: &mut Call) -> Result<RawJson, Error> {
    loop {
        if let Event::Done(done) = timeout(Duration::from_secs(10), call.next()).await.expect("in time") {
            return done;
        }
    }
}

/// A directory for the marks that processes of one test leave.
fn directory(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("attache-process-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("a directory");
    directory
}

fn is_alive(pid: &str) -> bool {
    // A process that has ended and was not waited for yet does not count.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

async fn gone(pid: &str) {
    let until = Instant::now() + Duration::from_secs(10);
    while is_alive(pid) {
        assert!(Instant::now() < until, "process {pid} is still there");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn death_of_the_server_fails_its_calls_with_exit_code_and_last_words() {
    let client = builder().command(script("echo 'out of paper' >&2; exit 7")).await.expect("connected");
    let error = client.call("t", RawJson::empty_object()).await.expect_err("it is dead");
    let Error::Exited(exit) = &error else { panic!("{error}") };
    assert_eq!(
        (exit.status.as_str(), &exit.stderr[..], exit.written),
        ("exit status: 7", &["out of paper".to_owned()][..], true)
    );
    assert!(!error.is_unsent());
    // Later calls fail at once, and were certainly not carried out.
    let error = client.call("t", RawJson::empty_object()).await.expect_err("it is dead");
    assert!(error.is_unsent(), "{error}");
    assert!(error.to_string().contains("out of paper"), "{error}");
}

#[tokio::test]
async fn what_the_server_wrote_before_it_died_still_counts() {
    let client = builder().command(script(&format!("{ANSWER}; exit 1"))).await.expect("connected");
    client.call("t", RawJson::empty_object()).await.expect("a result");
}

#[tokio::test]
async fn server_that_closes_its_output_and_lives_on_is_dead() {
    let client = builder().command(script("exec >&-; sleep 60")).await.expect("connected");
    let mut call = client.start(Request::call("t", RawJson::empty_object()));
    let error = end(&mut call).await.expect_err("its output has ended");
    assert!(matches!(error, Error::Exited(_)), "{error}");
}

#[tokio::test]
async fn server_that_exits_at_the_probe_is_started_again_for_the_handshake() {
    let directory = directory("probe");
    let text = format!(
        r#"echo x >>{}/starts
        read -r line
        case "$line" in
        *initialize*) echo '{{"jsonrpc":"2.0","id":2,"result":{{"protocolVersion":"2025-06-18","capabilities":{{}},"serverInfo":{{"name":"old","version":"1"}}}}}}' ;;
        *) exit 1 ;;
        esac
        while read -r line; do
            id=${{line#*'"id":'}}; id=${{id%%,*}}
            case "$line" in *tools/call*) {ANSWER} ;; esac
        done"#,
        directory.display()
    );
    let client = builder().command(ServerCommand::new("sh", ["-c", &text])).await.expect("connected");
    assert_eq!(client.version().as_str(), "2025-06-18");
    client.call("t", RawJson::empty_object()).await.expect("a result");
    assert_eq!(std::fs::read_to_string(directory.join("starts")).expect("marks"), "x\nx\n");
    client.close().await;
    std::fs::remove_dir_all(&directory).expect("removed");
}

#[tokio::test]
async fn server_that_exits_at_everything_is_told_with_its_words() {
    let failed = builder().command(ServerCommand::new("sh", ["-c", "echo 'no database' >&2; exit 3"])).await;
    let error = failed.expect_err("it ends").to_string();
    assert!(error.contains("exit status: 3") && error.contains("no database"), "{error}");
    let failed = builder().command(ServerCommand::new("/no/such/program", [""; 0])).await;
    assert!(matches!(failed, Err(Error::Spawn { .. })));
}

#[tokio::test]
async fn end_of_the_client_ends_the_server_and_what_it_has_started() {
    let directory = directory("group");
    // The grandchild does not care for the end of its input, nor for SIGTERM; the child only for the latter.
    let text = format!(
        "trap '' TERM; (trap '' TERM; echo $$ >/dev/null; exec sleep 300) & echo $! >{0}/grandchild; echo $$ >{0}/child; {ANSWER}; trap - TERM; while :; do sleep 0.1; done",
        directory.display()
    );
    let client = builder().command(script(&text)).await.expect("connected");
    client.call("t", RawJson::empty_object()).await.expect("a result");
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).expect("a mark");
    let (child, grandchild) = (read("child"), read("grandchild"));
    assert!(is_alive(&child) && is_alive(&grandchild));
    let started = Instant::now();
    client.close().await;
    // Its input was closed first, and two seconds later SIGTERM came.
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    assert!(!is_alive(&child));
    gone(&grandchild).await;
    std::fs::remove_dir_all(&directory).expect("removed");
}

#[tokio::test]
async fn client_that_is_dropped_leaves_no_process() {
    let directory = directory("drop");
    let text = format!("echo $$ >{}/child; {ANSWER}", directory.display());
    let client = builder().command(script(&text)).await.expect("connected");
    client.call("t", RawJson::empty_object()).await.expect("a result");
    let child = std::fs::read_to_string(directory.join("child")).expect("a mark");
    assert!(is_alive(&child));
    drop(client);
    gone(&child).await;
    std::fs::remove_dir_all(&directory).expect("removed");
}

#[tokio::test]
async fn runtime_that_ends_leaves_no_process() {
    let directory = directory("runtime");
    let place = directory.clone();
    let child = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let text = format!("trap '' TERM; echo $$ >{}/child; {ANSWER}; sleep 300", place.display());
            let client = builder().command(script(&text)).await.expect("connected");
            client.call("t", RawJson::empty_object()).await.expect("a result");
        });
        std::fs::read_to_string(place.join("child")).expect("a mark")
    });
    gone(&child.await.expect("no panic")).await;
    std::fs::remove_dir_all(&directory).expect("removed");
}

#[tokio::test]
async fn standard_error_of_any_size_holds_nothing_up() {
    let noise = format!(
        "i=0; while [ $i -lt 3000 ]; do echo 'a line of eighty characters, more or less, so that the pipe is full soon {}' >&2; i=$((i+1)); done; {ANSWER}",
        "x".repeat(40)
    );
    let client = builder().command(script(&noise)).await.expect("connected");
    timeout(Duration::from_secs(30), client.call("t", RawJson::empty_object()))
        .await
        .expect("in time")
        .expect("a result");
    let kept: usize = client.stderr().iter().map(String::len).sum();
    assert!(kept <= attache_host::children::limits::STDERR_BYTES, "{kept}");
}

#[tokio::test]
async fn environment_is_what_is_named_and_little_more() {
    let directory = directory("environment");
    let text = format!("env >{}/seen; {ANSWER}", directory.display());
    let client = builder().command(script(&text).env("TOKEN", "t").directory(&directory)).await.expect("connected");
    client.call("t", RawJson::empty_object()).await.expect("a result");
    let seen = std::fs::read_to_string(directory.join("seen")).expect("a mark");
    let names: Vec<&str> = seen.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    assert!(names.contains(&"TOKEN") && names.contains(&"PATH"), "{names:?}");
    // The variables that cargo sets for tests were not passed on.
    assert!(!names.iter().any(|name| name.starts_with("CARGO")), "{names:?}");
    assert!(seen.contains(&format!("PWD={}", directory.display())), "{seen}");
    client.close().await;
    std::fs::remove_dir_all(&directory).expect("removed");
}
