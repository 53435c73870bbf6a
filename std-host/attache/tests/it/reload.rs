//! Reload of backends, policies and pins while the program serves.

use crate::running::{Running, attache};
use attache_host::client::{Client, Error, Filter, List, Notice, RawJson};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

const ATTACHE: &str = env!("CARGO_BIN_EXE_attache");

/// A server whose configuration a test changes.
struct Reloading {
    server: Running,
    directory: PathBuf,
}

impl Reloading {
    fn new(name: &str, text: &str, flags: &[&str]) -> Self {
        let directory = std::env::temp_dir().join(format!("attache-reload-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("a directory");
        let file = directory.join("attache.toml");
        fs::write(&file, text).expect("written");
        let config = file.to_str().expect("UTF-8");
        let mut command = attache(
            &[&["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--config", config], flags].concat(),
        );
        command.env_remove("ATTACHE_DEMO").stderr(fs::File::create(directory.join("log")).expect("a file"));
        Self { server: Running::logging(command), directory }
    }

    fn file(&self) -> PathBuf {
        self.directory.join("attache.toml")
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).expect("written");
    }

    /// Writes the configuration, sends SIGHUP, and returns the line of the log that says how the reload went.
    fn reload(&self, text: &str) -> Value {
        let before = self.outcomes().len();
        self.write(text);
        let hup = Command::new("kill").args(["-HUP", &self.server.child.id().to_string()]).status().expect("it runs");
        assert!(hup.success());
        until("the reload ends", || self.outcomes().len() > before);
        self.outcomes().swap_remove(before)
    }

    fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn outcomes(&self) -> Vec<Value> {
        let is_outcome = |event: &Value| {
            event["fields"]["message"]
                .as_str()
                .is_some_and(|message| message.contains("configuration") && message.contains("reloaded"))
        };
        self.log().into_iter().filter(is_outcome).map(|mut event| event["fields"].take()).collect()
    }

    async fn client(&self) -> Client {
        let url = format!("http://{}/mcp", self.server.address());
        Client::builder("test", "1").http(&url).await.expect("connected")
    }
}

impl Drop for Reloading {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A backend with the demo tools, and with further settings.
fn demo(name: &str, settings: &str) -> String {
    format!(
        "[[server.backend]]\nname = \"{name}\"\nprefix = \"{name}_\"\ncommand = [{ATTACHE:?}, \"serve\", \"--demo\", \"--stdio\"]\n{settings}\n"
    )
}

async fn tools(client: &Client) -> BTreeSet<String> {
    let listed = client.list(List::Tools).await.expect("a list");
    listed.iter().filter_map(|tool| tool.member("name")?.string()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Whether a call was served. `false` if the tool does not exist.
async fn is_served(client: &Client, tool: &str) -> bool {
    let arguments = RawJson::of(&json!({"text": "x", "a": 1, "b": 2})).expect("JSON");
    match client.call(tool, arguments).await {
        Ok(_) => true,
        Err(Error::Rpc(error)) if error.code == -32602 && error.message.contains("Unknown tool") => false,
        Err(other) => panic!("{tool}: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_calls_across_twenty_changes_are_all_answered_by_the_old_or_the_new_configuration() {
    // Each change replaces `flip`, adds or removes `guest`, and turns the policies of `flip` and of the server around.
    // `steady` stays.
    let texts = [
        format!(
            "[[server]]\n{}{}{}",
            demo("steady", ""),
            demo("flip", "env = { A = \"1\" }\nallow = [\"flip_echo\"]"),
            demo("guest", "deny = [\"guest_add\"]"),
        ),
        format!(
            "[[server]]\ndeny = [\"steady_add\"]\n{}{}",
            demo("steady", ""),
            demo("flip", "env = { A = \"2\" }\nallow = [\"flip_add\"]")
        ),
    ];
    let lists = [set(&["steady_echo", "steady_add", "flip_echo", "guest_echo"]), set(&["steady_echo", "flip_add"])];
    let running = Reloading::new("load", &texts[0], &[]);
    let client = running.client().await;
    assert_eq!(tools(&client).await, lists[0]);
    let mut changes = client.listen(Filter::lists()).await.expect("a subscription");
    let (calls, is_done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (client, calls, is_done, lists) =
                (client.clone(), Arc::clone(&calls), Arc::clone(&is_done), lists.clone());
            tokio::spawn(async move {
                while !is_done.load(Ordering::Relaxed) {
                    assert!(is_served(&client, "steady_echo").await, "a tool that both configurations offer");
                    is_served(&client, "flip_echo").await;
                    is_served(&client, "flip_add").await;
                    is_served(&client, "guest_echo").await;
                    for never in ["guest_add", "none_echo"] {
                        assert!(!is_served(&client, never).await, "no configuration offers {never}");
                    }
                    let listed = tools(&client).await;
                    assert!(lists.contains(&listed), "neither the old nor the new policy: {listed:?}");
                    calls.fetch_add(6, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut number = 0;
    while number < 20 || calls.load(Ordering::Relaxed) < 1000 {
        number += 1;
        let told = tokio::task::block_in_place(|| running.reload(&texts[number % 2]));
        assert_eq!(told["message"], "configuration reloaded", "{told}");
        assert_eq!(told["replaced"], "[\"flip\"]", "{told}");
        assert_eq!(tools(&client).await, lists[number % 2], "the new configuration is in force");
        let heard = tokio::time::timeout(Duration::from_secs(60), async {
            while !matches!(changes.next().await, Ok(Notice::ToolsChanged)) {}
        });
        heard.await.expect("clients are notified");
    }
    is_done.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("no call was lost");
    }
    let is_end = |event: &Value| event["fields"]["message"] == "a backend is down";
    let ends: Vec<_> = running.log().into_iter().filter(is_end).collect();
    assert!(ends.is_empty(), "no backend was lost, and the one that stays was not restarted: {ends:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reload_with_a_mistake_leaves_the_old_configuration_and_names_file_and_line() {
    let figures =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").to_string();
    let good = format!("[[server]]\n{}", demo("one", "deny = [\"one_add\"]"));
    let running = Reloading::new("mistakes", &good, &["--metrics-listen", &figures]);
    let client = running.client().await;
    let is_good = || {
        let text = get(&figures, "/metrics");
        text.lines().any(|line| line == "attache_config_last_reload_successful 1")
    };
    assert!(is_good());
    for (text, place, words) in [
        ("[[server]\n".to_owned(), "attache.toml:1:", "not TOML"),
        (good.replace("deny = [\"one_add\"]", "deny = \"one_add\""), "attache.toml:6:", "must be an array"),
        (good.replace("[\"one_add\"]", "[\"\"]"), "attache.toml:6:", "empty"),
        (
            good.clone() + "[[server.backend]]\nname = \"two\"\ntools_dir = \"/nowhere\"\n",
            "attache.toml:7:",
            "/nowhere",
        ),
        (
            good.clone() + &demo("two", "").replace("prefix = \"two_\"", "prefix = \"one_\""),
            "attache.toml:7:",
            "there is already a tool",
        ),
    ] {
        let told = tokio::task::block_in_place(|| running.reload(&text));
        assert_eq!(told["message"], "configuration not reloaded, the old one stays in use", "{text}");
        let fault = told["fault"].as_str().expect("a fault");
        assert!(fault.contains(place) && fault.contains(words), "{text}: {fault}");
        assert_eq!(tools(&client).await, set(&["one_echo"]), "{text}");
        assert!(!is_good(), "the metrics tell");
    }
    let told = tokio::task::block_in_place(|| running.reload(&good.replace("one_add", "one_echo")));
    assert_eq!(told["message"], "configuration reloaded", "{told}");
    assert_eq!(tools(&client).await, set(&["one_add"]));
    assert!(is_good());
}

fn get(address: &str, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").expect("taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn changed_file_is_read_again_without_a_signal_with_watch() {
    let text = |rule: &str| format!("watch = true\n[[server]]\n{}", demo("one", rule));
    let running = Reloading::new("watch", &text(""), &[]);
    running.write(&text("deny = [\"one_add\"]"));
    until("the change is noticed", || running.outcomes().len() == 1);
    assert_eq!(running.outcomes()[0]["message"], "configuration reloaded");
    fs::write(running.file().with_file_name("attache.pins"), "[").expect("written");
    until("the file of pins is watched, too", || running.outcomes().len() == 2);
    let told = running.outcomes().swap_remove(1);
    assert!(told["fault"].as_str().is_some_and(|fault| fault.contains("attache.pins:1:")), "{told}");
}

#[test]
fn changes_that_need_a_restart_are_named_with_their_place() {
    let text = |head: &str, path: &str| format!("{head}[[server]]\npath = \"{path}\"\n{}", demo("one", ""));
    let running = Reloading::new("restart", &text("", "/a"), &[]);
    let told = running.reload(&text("[limits]\ncalls = 3\n", "/b"));
    assert_eq!(told["message"], "configuration reloaded", "{told}");
    let warnings: Vec<String> = running
        .log()
        .into_iter()
        .filter(|event| event["fields"]["message"].as_str().is_some_and(|message| message.contains("restart")))
        .map(|event| event["fields"].to_string())
        .collect();
    let has = |words: &[&str]| warnings.iter().any(|warning| words.iter().all(|word| warning.contains(word)));
    assert!(has(&["limits.calls", "attache.toml:2"]), "{warnings:?}");
    assert!(has(&["/a", "removed"]) && has(&["/b", "added"]), "{warnings:?}");
}

#[test]
fn backends_of_the_command_line_stay_when_the_file_is_read_again() {
    let directory = std::env::temp_dir().join(format!("attache-reload-gate-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory");
    let [file, log] = ["attache.toml", "log"].map(|name| directory.join(name));
    fs::write(&file, "").expect("written");
    let mut command = attache(&["gate", "--listen", "127.0.0.1:0", "--config", file.to_str().expect("UTF-8")]);
    command.args(["--", ATTACHE, "serve", "--demo", "--stdio"]).stderr(fs::File::create(&log).expect("a file"));
    let server = Running::logging(command);
    let said = |words: &str| fs::read_to_string(&log).unwrap_or_default().contains(words);
    let hup = Command::new("kill").args(["-HUP", &server.child.id().to_string()]).status().expect("it runs");
    assert!(hup.success());
    until("the reload ends", || said("configuration reloaded"));
    assert!(said("removed=[]") && said("added=[]"), "{}", fs::read_to_string(&log).unwrap_or_default());
    let listed = attache(&["list", &format!("http://{}/mcp", server.address())]).output().expect("it runs");
    assert!(String::from_utf8_lossy(&listed.stdout).contains("echo"));
    assert!(Path::new(&file).exists());
    let _ = fs::remove_dir_all(directory);
}
