//! `tools_dir`, `prompts_dir` and `resources_dir`: files that are tools, prompts and resources.

use crate::running::{Running, attache};
use core::time::Duration;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Instant;

fn directory(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("attache-files-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("a directory");
    set_mode(&directory, 0o755);
    directory
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("own file");
}

/// Adds a tool: a shell script with a description.
fn add(directory: &Path, name: &str, description: &str, script: &str) {
    let executable = directory.join(format!("{name}.sh"));
    // Replaced as a whole, because a file that is being written cannot be executed.
    let fresh = directory.join(".fresh");
    fs::write(&fresh, format!("#!/bin/sh\n{script}\n")).expect("written");
    set_mode(&fresh, 0o755);
    fs::rename(&fresh, executable).expect("replaced");
    let file = directory.join(format!("{name}.toml"));
    fs::write(&file, description).expect("written");
    set_mode(&file, 0o644);
}

const PLAIN: &str = "description = \"d\"\n";
const ANY: &str = "description = \"d\"\n[arguments]\nadditionalProperties = true\n[arguments.properties]\ntext = {}\ncount = {}\nflag = {}\n\
                   list = {}\n";

fn program(arguments: &[&str]) -> Command {
    let mut command = attache(arguments);
    command.env_remove("ATTACHE_DEMO");
    command
}

/// A server with the tools of a directory.
fn serving(directory: &Path) -> Running {
    let directory = directory.to_str().expect("UTF-8");
    Running::of(program(&["serve", "--listen", "127.0.0.1:0", "--tools-dir", directory]))
}

/// A server with this backend.
fn with_backend(directory: &Path, settings: &str) -> Running {
    let file = directory.with_extension("attache.toml");
    fs::write(&file, format!("[[server]]\n[[server.backend]]\n{settings}\n")).expect("written");
    Running::of(program(&["serve", "--listen", "127.0.0.1:0", "--config", file.to_str().expect("UTF-8")]))
}

/// The answer to a request, as JSON.
fn ask(server: &Running, method: &str, name: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let mut stream = std::net::TcpStream::connect(server.address()).expect("it listens");
    let named = if name.is_empty() { String::new() } else { format!("mcp-name: {name}\r\n") };
    write!(
        stream,
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\n{named}\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("the request is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

fn call(server: &Running, tool: &str, arguments: Value) -> Value {
    ask(server, "tools/call", tool, json!({"name": tool, "arguments": arguments}))["result"].clone()
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {result}"))
}

/// The keys of a list.
fn listed(server: &Running, method: &str, list: &str, key: &str) -> Vec<String> {
    let answer = ask(server, method, "", json!({}));
    let entries = answer["result"][list].as_array().unwrap_or_else(|| panic!("no list: {answer}"));
    entries.iter().map(|entry| entry[key].as_str().expect("a text").to_owned()).collect()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(15);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(100));
    }
}

fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[test]
fn tools_that_are_shipped_are_served_by_the_first_command_of_the_readme() {
    let server = serving(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tools")));
    assert_eq!(listed(&server, "tools/list", "tools", "name"), ["count_words", "disk_space", "time_in"]);
    assert_eq!(text(&call(&server, "count_words", json!({"text": "to be or not"}))), "4");
    assert_eq!(text(&call(&server, "count_words", json!({"text": "a\nb", "unit": "lines"}))), "2");
    assert!(text(&call(&server, "disk_space", json!({}))).contains('%'));
    assert!(text(&call(&server, "time_in", json!({"zone": "UTC"}))).ends_with("UTC"));
    let unknown = call(&server, "time_in", json!({"zone": "Mars/Olympus"}));
    assert!(unknown["isError"] == true && text(&unknown).contains("no time zone Mars/Olympus"), "{unknown}");
}

#[test]
fn arguments_come_on_standard_input_and_in_variables_and_never_on_a_command_line() {
    let directory = directory("arguments");
    add(&directory, "show", ANY, "echo \"$# arguments\"; env | grep ^ARG_ | sort; cat");
    let server = serving(&directory);
    let hostile = "$(touch /tmp/x); `id`\n--help";
    let result = call(&server, "show", json!({"text": hostile, "count": 3, "flag": true, "list": [1], "other": "x"}));
    let shown = text(&result);
    assert!(shown.starts_with("0 arguments\n"), "{shown}");
    for line in ["ARG_TEXT=$(touch /tmp/x); `id`", "ARG_COUNT=3", "ARG_FLAG=true"] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    assert!(!shown.contains("ARG_LIST") && !shown.contains("ARG_OTHER"), "{shown}");
    let json: Value = serde_json::from_str(shown.lines().last().expect("a line")).expect("standard input");
    assert_eq!(json["text"], hostile);
}

#[test]
fn arguments_that_do_not_fit_never_reach_the_tool() {
    let directory = directory("schema");
    let ran = directory.with_extension("ran");
    let _ = fs::remove_file(&ran);
    let description = "description = \"d\"\n[arguments]\nrequired = [\"n\"]\n[arguments.properties.n]\ntype = \"integer\"\nmaximum = 9\n";
    add(&directory, "t", description, &format!("echo ran >{}", ran.display()));
    let server = serving(&directory);
    for (arguments, word) in [(json!({}), "n"), (json!({"n": 10}), "9"), (json!({"n": 1, "m": 2}), "m")] {
        let result = call(&server, "t", arguments);
        assert!(result["isError"] == true && text(&result).contains(word), "{result}");
    }
    assert!(!ran.exists());
    assert!(call(&server, "t", json!({"n": 1}))["isError"] != true);
    assert!(ran.exists());
}

#[test]
fn what_others_than_the_owner_may_write_is_refused_with_the_command_that_mends_it() {
    for (what, path, mode) in
        [("directory", "", 0o777), ("description", "t.toml", 0o664), ("executable", "t.sh", 0o757)]
    {
        let directory = directory(what);
        add(&directory, "t", PLAIN, "echo x");
        let path = if path.is_empty() { directory.clone() } else { directory.join(path) };
        set_mode(&path, mode);
        let run =
            program(&["serve", "--listen", "127.0.0.1:0", "--tools-dir", directory.to_str().expect("UTF-8")]).output();
        let run = run.expect("it runs");
        let said = String::from_utf8_lossy(&run.stderr);
        let words = ["--tools-dir".to_owned(), format!("chmod go-w {}", path.display())];
        assert!(run.status.code() == Some(2) && words.iter().all(|word| said.contains(word)), "{what}: {said}");
    }
    let directory = directory("link");
    add(&directory, "t", PLAIN, "echo x");
    fs::remove_file(directory.join("t.sh")).expect("it was there");
    symlink("/bin/true", directory.join("t.sh")).expect("a link");
    let run = program(&["serve", "--tools-dir", directory.to_str().expect("UTF-8")]).output().expect("it runs");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.code() == Some(2) && said.contains("symbolic link"), "{said}");
}

#[test]
fn description_that_cannot_be_used_stops_the_start_with_file_and_reason() {
    for (name, description, words) in [
        ("empty", "", &["t.toml", "description"][..]),
        ("key", "description = \"d\"\nscop = \"x\"", &["t.toml", "scop"]),
        (
            "schema",
            "description = \"d\"\n[arguments.properties.x]\ntype = \"strin\"",
            &["t.toml", "schema of the arguments"],
        ),
    ] {
        let directory = directory(name);
        add(&directory, "t", description, "echo x");
        let file = directory.with_extension("attache.toml");
        fs::write(&file, format!("[[server]]\n[[server.backend]]\nname = \"a\"\ntools_dir = {directory:?}\n"))
            .expect("written");
        let run = program(&["check", "--config", file.to_str().expect("UTF-8")]).output().expect("it runs");
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.code() == Some(2) && said.contains("attache.toml:2"), "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{name}: {said}");
    }
    let directory = directory("alone");
    fs::write(directory.join("t.toml"), PLAIN).expect("written");
    let run = program(&["serve", "--tools-dir", directory.to_str().expect("UTF-8")]).output().expect("it runs");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.code() == Some(2) && said.contains("no executable t") && said.contains("chmod +x"), "{said}");
}

#[test]
fn failure_too_much_output_and_too_much_time_end_in_an_error_in_words() {
    let directory = directory("bounds");
    let pid = directory.with_extension("pid");
    add(&directory, "fails", PLAIN, "echo before; echo 'no paper' >&2; exit 3");
    add(&directory, "floods", PLAIN, "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done");
    add(
        &directory,
        "sleeps",
        "description = \"d\"\ntime_limit = \"1s\"\n",
        &format!("sleep 60 & echo $! >{}; wait", pid.display()),
    );
    add(&directory, "leaves", PLAIN, &format!("sleep 60 & echo $! >{}; echo done", pid.display()));
    add(&directory, "binary", PLAIN, "printf '\\377\\376'");
    let server = serving(&directory);
    for (tool, words) in [
        ("fails", &["before", "no paper", "exit status: 3"][..]),
        ("floods", &["larger than 1048576 bytes"]),
        ("sleeps", &["did not end within 1 s"]),
        ("binary", &["not UTF-8"]),
    ] {
        let result = call(&server, tool, json!({}));
        assert!(result["isError"] == true && words.iter().all(|word| text(&result).contains(word)), "{tool}: {result}");
    }
    let grandchild = fs::read_to_string(&pid).expect("a pid");
    until("the grandchild has ended with its tool", || !is_alive(&grandchild));
    let begun = Instant::now();
    let left = call(&server, "leaves", json!({}));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}: {left}", begun.elapsed());
    let grandchild = fs::read_to_string(&pid).expect("a pid");
    until("what a tool leaves in the background is ended", || !is_alive(&grandchild));
}

#[test]
fn tool_of_a_call_that_the_client_gives_up_is_ended() {
    let directory = directory("cancel");
    let pid = directory.with_extension("pid");
    let _ = fs::remove_file(&pid);
    add(&directory, "sleeps", PLAIN, &format!("echo $$ >{}; exec sleep 60", pid.display()));
    let server = serving(&directory);
    let mut client = attache(&["call", &format!("http://{}/mcp", server.address()), "sleeps", "{}"])
        .stdin(Stdio::null())
        .spawn()
        .expect("it starts");
    until("the tool runs", || fs::read_to_string(&pid).is_ok_and(|pid| pid.ends_with('\n')));
    let process = fs::read_to_string(&pid).expect("a pid");
    client.kill().expect("it ends");
    client.wait().expect("it ends");
    until("the tool has ended", || !is_alive(&process));
}

#[test]
fn tool_gets_a_minimal_environment_and_its_caps() {
    let directory = directory("caps");
    add(&directory, "env", PLAIN, "env");
    add(&directory, "eats", PLAIN, "a=x; while :; do a=$a$a; done");
    let settings = format!("name = \"a\"\ntools_dir = {directory:?}\nmemory = \"64MiB\"");
    let file = directory.with_extension("attache.toml");
    fs::write(&file, format!("[[server]]\n[[server.backend]]\n{settings}\n")).expect("written");
    let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--config", file.to_str().expect("UTF-8")]);
    command.env("SECRET", "s3cret");
    let server = Running::of(command);
    let result = call(&server, "env", json!({}));
    assert!(text(&result).contains("PATH=") && !text(&result).contains("s3cret"), "{result}");
    let result = call(&server, "eats", json!({}));
    assert!(result["isError"] == true && text(&result).contains("may use 64 MiB"), "{result}");
}

#[test]
fn output_of_a_tool_with_a_schema_is_structured_and_numbers_keep_their_spelling() {
    let directory = directory("result");
    let description = "description = \"d\"\n[result]\nrequired = [\"n\"]\n[result.properties.n]\ntype = \"number\"\n";
    add(&directory, "good", description, "echo '{\"n\": 1E2}'");
    add(&directory, "bad", description, "echo '{\"m\": 1}'");
    add(&directory, "broken", description, "echo hello");
    let server = serving(&directory);
    let raw = attache(&["call", &format!("http://{}/mcp", server.address()), "good", "{}", "--json"])
        .output()
        .expect("it runs");
    let raw = String::from_utf8_lossy(&raw.stdout);
    assert!(raw.contains("structuredContent") && raw.contains("1E2"), "{raw}");
    for (tool, word) in [("bad", "does not fit"), ("broken", "not JSON")] {
        let result = call(&server, tool, json!({}));
        assert!(result["isError"] == true && text(&result).contains(word), "{result}");
    }
}

#[test]
fn tool_with_a_scope_is_refused_to_a_caller_without_it() {
    let directory = directory("scope");
    add(&directory, "open", PLAIN, "echo x");
    add(&directory, "secret", "description = \"d\"\nscope = \"files.read\"\n", "echo x");
    // RFC 7515 A.3.1
    let key = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
    let keys = directory.with_extension("jwks");
    fs::write(&keys, key).expect("written");
    let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--auth-require", "optional"]);
    command.args(["--auth-issuer", "https://id.example", "--auth-resource", "https://api.example/mcp"]);
    command.args(["--auth-applications", "app", "--auth-jwks-file"]).arg(&keys).arg("--tools-dir").arg(&directory);
    let server = Running::of(command);
    assert_eq!(text(&call(&server, "open", json!({}))), "x");
    let run =
        program(&["call", &format!("http://{}/mcp", server.address()), "secret", "{}"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(!run.status.success() && said.contains("401") && said.contains("files.read"), "{said}");
}

#[test]
fn list_follows_the_files_and_a_broken_one_leaves_it_alone() {
    let directory = directory("follow");
    add(&directory, "a", PLAIN, "echo a");
    let server = serving(&directory);
    let names = || listed(&server, "tools/list", "tools", "name");
    assert_eq!(names(), ["a"]);
    add(&directory, "b", PLAIN, "echo b");
    until("the new tool is listed", || names() == ["a", "b"]);
    assert_eq!(text(&call(&server, "b", json!({}))), "b");
    add(&directory, "b", "description = \"d\"\nnonsense = 1\n", "echo b");
    until("the broken tool is not listed", || names() == ["a"]);
    assert_eq!(text(&call(&server, "a", json!({}))), "a");
}

#[test]
fn markdown_files_are_prompts_with_arguments() {
    let directory = directory("prompts");
    let review = "+++\ndescription = \"Review a change\"\n[[arguments]]\nname = \"language\"\nrequired = true\n+++\nReview this {{language}} code.\n";
    fs::write(directory.join("review.md"), review).expect("written");
    fs::write(directory.join("hello.md"), "Say hello.\n").expect("written");
    fs::write(directory.join("notes.txt"), "not a prompt").expect("written");
    let server = with_backend(&directory, &format!("name = \"p\"\nprefix = \"my_\"\nprompts_dir = {directory:?}"));
    assert_eq!(listed(&server, "prompts/list", "prompts", "name"), ["my_hello", "my_review"]);
    let get = |arguments: Value| {
        ask(&server, "prompts/get", "my_review", json!({"name": "my_review", "arguments": arguments}))
    };
    let result = get(json!({"language": "Rust"}));
    assert_eq!(result["result"]["messages"][0]["content"]["text"], "Review this Rust code.\n", "{result}");
    assert_eq!(result["result"]["description"], "Review a change");
    let missing = get(json!({}));
    assert_eq!(missing["error"]["code"], -32602, "{missing}");
    assert!(missing["error"]["message"].as_str().is_some_and(|message| message.contains("language")), "{missing}");
}

#[test]
fn files_are_resources_and_nothing_outside_of_the_directory_is_served() {
    let directory = directory("resources");
    let secret = directory.with_extension("secret");
    fs::write(&secret, "s3cret").expect("written");
    fs::create_dir_all(directory.join("in/side")).expect("a directory");
    fs::write(directory.join("read me.md"), "# Hi\n").expect("written");
    fs::write(directory.join("in/side/data.bin"), [0xff, 0x00, 0x01]).expect("written");
    fs::write(directory.join(".hidden"), "h").expect("written");
    symlink(&secret, directory.join("link.txt")).expect("a link");
    symlink(std::env::temp_dir(), directory.join("away")).expect("a link");
    let server = with_backend(&directory, &format!("name = \"docs\"\nresources_dir = {directory:?}"));
    let uris = listed(&server, "resources/list", "resources", "uri");
    assert_eq!(uris, ["resource://docs/in/side/data.bin", "resource://docs/read%20me.md"]);
    let read = |uri: &str| ask(&server, "resources/read", uri, json!({"uri": uri}));
    let text = read("resource://docs/read%20me.md");
    assert_eq!(text["result"]["contents"][0]["text"], "# Hi\n", "{text}");
    assert_eq!(text["result"]["contents"][0]["mimeType"], "text/markdown");
    let blob = read("resource://docs/in/side/data.bin");
    assert_eq!(blob["result"]["contents"][0]["blob"], "/wAB", "{blob}");
    for uri in
        ["resource://docs/link.txt", "resource://docs/../secret", "resource://docs/.hidden", "resource://docs/%2e%2e/x"]
    {
        assert!(read(uri)["error"].is_object(), "{uri}");
    }
    // A file that is replaced by a link after it was listed.
    fs::remove_file(directory.join("read me.md")).expect("it was there");
    symlink(&secret, directory.join("read me.md")).expect("a link");
    let answer = read("resource://docs/read%20me.md").to_string();
    assert!(answer.contains("error") && !answer.contains("s3cret"), "{answer}");
}
