//! `attache gate` and `[[server.backend]]`: other servers behind the program.

use crate::running::{Running, attache};
use std::path::PathBuf;
use std::process::Command;

/// The program with arguments of its own, and no demo tools where they do not ask for them.
fn program(arguments: &[&str]) -> Command {
    let mut command = attache(arguments);
    command.env_remove("ATTACHE_DEMO");
    command
}

fn gate(arguments: &[&str]) -> Running {
    Running::of(program(&[&["gate", "--listen", "127.0.0.1:0"], arguments].concat()))
}

const ATTACHE: &str = env!("CARGO_BIN_EXE_attache");

/// What `attache list` prints of the server at this address.
fn listed(server: &Running) -> String {
    let url = format!("http://{}/mcp", server.address());
    let run = attache(&["list", &url]).output().expect("it runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).expect("UTF-8")
}

fn called(server: &Running, tool: &str) -> String {
    let url = format!("http://{}/mcp", server.address());
    let run = attache(&["call", &url, tool, r#"{"a":1,"b":2}"#]).output().expect("it runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).expect("UTF-8")
}

/// A directory of this test.
fn directory(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("attache-gate-program-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("a directory");
    directory
}

#[test]
fn gate_serves_the_tools_of_a_command_and_of_a_url() {
    let behind = Running::start();
    let url = format!("http://{}/mcp", behind.address());
    for arguments in [&["--prefix", "p_", "--", ATTACHE, "serve", "--demo", "--stdio"][..], &["--prefix", "p_", &url]] {
        let server = gate(arguments);
        let listed = listed(&server);
        assert!(listed.contains("p_echo") && listed.contains("p_add"), "{listed}");
        assert_eq!(called(&server, "p_add").trim(), "3");
    }
}

#[test]
fn gate_asks_for_the_keys_of_its_own_flags() {
    let file = directory("keys").join("keys.json");
    let file = file.to_str().expect("UTF-8");
    assert!(attache(&["key", "add", "k", "--keys-file", file]).output().expect("it runs").status.success());
    let server = gate(&["--auth-keys-file", file, "--", ATTACHE, "serve", "--demo", "--stdio"]);
    let url = format!("http://{}/mcp", server.address());
    let run = attache(&["list", &url]).output().expect("it runs");
    assert!(String::from_utf8_lossy(&run.stderr).contains("401"), "{}", String::from_utf8_lossy(&run.stderr));
}

#[test]
fn backends_of_the_file_are_merged_under_their_prefixes() {
    let behind = Running::start();
    let file = directory("file").join("attache.toml");
    let text = format!(
        "[[server]]\npath = \"/mcp\"\n[[server.backend]]\nname = \"child\"\nprefix = \"child_\"\n\
         command = [{ATTACHE:?}, \"serve\", \"--stdio\"]\nenv = {{ ATTACHE_DEMO = \"true\" }}\n\
         [[server.backend]]\nname = \"far\"\nprefix = \"far_\"\nurl = \"http://{}/mcp\"\n",
        behind.address()
    );
    std::fs::write(&file, text).expect("written");
    let file = file.to_str().expect("UTF-8");
    let server = Running::of(program(&["serve", "--listen", "127.0.0.1:0", "--config", file]));
    let listed = listed(&server);
    assert!(["child_add", "child_echo", "far_add", "far_echo"].iter().all(|tool| listed.contains(tool)), "{listed}");
    for tool in ["child_add", "far_add"] {
        assert_eq!(called(&server, tool).trim(), "3");
    }
}

#[test]
fn servers_of_the_file_of_a_client_get_their_names_as_prefixes() {
    let behind = Running::start();
    let file = directory("client").join("mcp.json");
    let servers = serde_json::json!({"mcpServers": {
        "the child": {"command": "${WHERE}", "args": ["serve", "--stdio"], "env": {"ATTACHE_DEMO": "${UNSET:-true}"}},
        "far": {"type": "http", "url": format!("http://{}/mcp", behind.address())},
        "off": {"command": "no-such-program", "disabled": true},
    }});
    std::fs::write(&file, servers.to_string()).expect("written");
    let mut command = program(&["gate", "--listen", "127.0.0.1:0", "--mcp-servers", file.to_str().expect("UTF-8")]);
    command.env("WHERE", ATTACHE);
    let server = Running::of(command);
    let listed = listed(&server);
    assert!(listed.contains("the_child_add") && listed.contains("far_add"), "{listed}");
}

#[test]
fn start_without_anything_to_serve_explains_what_to_write() {
    for arguments in [&["serve"][..], &["serve", "--stdio"], &["check"]] {
        let run = program(arguments).output().expect("it runs");
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{said}");
        assert!(["[[server.backend]]", "attache gate", "--demo"].iter().all(|word| said.contains(word)), "{said}");
    }
}

#[test]
fn backend_that_can_never_be_connected_stops_the_start_with_its_place() {
    let directory = directory("faults");
    for (table, words) in [
        ("name = \"a\"", &["attache.toml:2", "needs one of command, url"][..]),
        ("url = \"http://a\"", &["attache.toml:2", "needs a name"]),
        ("name = \"a\"\nurl = \"b\"", &["attache.toml:2", "must be a URL"]),
        ("name = \"a\"\ncommand = [\"no-such-program\"]", &["attache.toml:2", "no program no-such-program"]),
        ("name = \"a\"\ncommand = \"sh\"", &["attache.toml:4", "array of texts"]),
        ("name = \"a\"\ncommand = [\"sh\"]\ncwd = \"/no/such/place\"", &["is not a directory"]),
        ("name = \"a\"\ncommand = [\"sh\"]\nenv = [\"NO_SUCH_VARIABLE\"]", &["NO_SUCH_VARIABLE"]),
        ("name = \"a\"\nurl = \"http://a\"\ndeny = \"x\"", &["attache.toml:5", "deny must be an array"]),
        ("name = \"a\"\nurl = \"http://a\"\nread_only = 1", &["attache.toml:5", "true or false"]),
        ("name = \"a\"\nurl = \"http://a\"\nscopes = { \"x\" = [\"a b\"] }", &["attache.toml:5", "scopes must be"]),
        ("name = \"a\"\nurl = \"http://a\"\nscopes = [\"x\"]", &["attache.toml:5", "set auth.issuer"]),
        ("name = \"a\"\nurl = \"http://a\"\nroles = { \"*\" = \"x\" }", &["attache.toml:5", "set auth.issuer"]),
        ("name = \"a\"\nurl = \"http://a\"\nallow = [\"x\"]\ndeny = [\"*\"]", &["allow has \"x\"", "deny \"*\""]),
        ("name = \"a\"\nurl = \"http://a\"\nprefix = \"p_\"\ndeny = [\"x_*\"]", &["attache.toml:6", "never matches"]),
        ("name = \"a\"\nurl = \"http://a\"\nallow = [\"\"]", &["attache.toml:5", "pattern is empty"]),
        ("name = \"a\"\nurl = \"http://a\"\nprefx = \"x\"", &["attache.toml:5", "no setting prefx"]),
        ("name = \"a\"\nurl = \"http://a\"\nprefix = \"x y\"", &["prefix"]),
        ("name = \"a\"\nurl = \"http://a\"\ntransport = \"ws\"", &["http or sse"]),
        ("name = \"a\"\nurl = \"http://a\"\n[[server.backend]]\nname = \"a\"\nurl = \"http://b\"", &["two backends"]),
    ] {
        let file = directory.join("attache.toml");
        std::fs::write(&file, format!("[[server]]\n[[server.backend]]\n{table}\n")).expect("written");
        for command in ["check", "serve"] {
            let run = program(&[command, "--config", file.to_str().expect("UTF-8")]).output().expect("it runs");
            let said = String::from_utf8_lossy(&run.stderr);
            assert_eq!(run.status.code(), Some(2), "{table}: {said}");
            assert!(words.iter().all(|word| said.contains(word)), "{table}: {said}");
        }
    }
}

#[test]
fn gate_that_is_stopped_leaves_no_child() {
    let directory = directory("stop");
    let pid = directory.join("pid");
    let text = format!("echo $$ >{}; exec {ATTACHE} serve --demo --stdio", pid.display());
    let mut server = gate(&["--", "sh", "-c", &text]);
    assert!(listed(&server).contains("echo"));
    let child = std::fs::read_to_string(&pid).expect("a pid");
    let proc = PathBuf::from(format!("/proc/{}", child.trim()));
    assert!(proc.exists());
    let term = Command::new("kill").args(["-TERM", &server.child.id().to_string()]).status().expect("it runs");
    assert!(term.success());
    assert!(server.child.wait().expect("it ends").success());
    assert!(!proc.exists(), "the child has ended with the gate");
}

#[test]
fn policy_of_the_file_and_of_flags_hides_tools_from_lists_and_calls() {
    let behind = Running::start();
    let url = format!("http://{}/mcp", behind.address());
    let file = directory("policy").join("attache.toml");
    let table = format!("[[server]]\n[[server.backend]]\nname = \"far\"\nprefix = \"far_\"\nurl = \"{url}\"\n");
    let of_file = |text: String| {
        std::fs::write(&file, text).expect("written");
        let file = file.to_str().expect("UTF-8");
        Running::of(program(&["serve", "--listen", "127.0.0.1:0", "--config", file]))
    };
    for server in [
        of_file(format!("{table}deny = [\"far_add\"]\n")),
        of_file(format!("{table}allow = [\"far_e*\"]\n")),
        of_file(format!("deny = [\"*_add\"]\n{table}")),
        of_file(table.replacen("[[server]]", "[[server]]\nallow = [\"*echo\"]", 1)),
        gate(&["--prefix", "far_", "--deny", "far_add", &url]),
        gate(&["--prefix", "far_", "--allow", "far_echo", "--allow", "far_other", &url]),
    ] {
        let listed = listed(&server);
        assert!(listed.contains("far_echo") && !listed.contains("far_add"), "{listed}");
        let gate = format!("http://{}/mcp", server.address());
        let run = attache(&["call", &gate, "far_add", r#"{"a":1,"b":2}"#]).output().expect("it runs");
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(!run.status.success() && said.contains("-32602"), "{said}");
    }
}

#[test]
fn definition_that_changes_after_it_was_pinned_is_held_back_until_it_is_pinned_again() {
    let directory = directory("pins");
    let [file, pins] = ["attache.toml", "attache.pins"].map(|name| directory.join(name));
    let serve_with = |tools: &str, rest: &str| {
        let text = format!(
            "{rest}\n[[server]]\n[[server.backend]]\nname = \"child\"\nprefix = \"c_\"\ncommand = [{ATTACHE:?}, \"serve\", \"--stdio\"]\n\
             env = {{ ATTACHE_TOOLS = \"{tools}\" }}\n"
        );
        std::fs::write(&file, text).expect("written");
    };
    let config = file.to_str().expect("UTF-8");
    let run = |arguments: &[&str]| {
        let run = program(&[arguments, &["--config", config]].concat()).output().expect("it runs");
        let said = [run.stdout, run.stderr].map(|text| String::from_utf8(text).expect("UTF-8")).concat();
        (run.status.code(), said)
    };
    let tools = || {
        let server = Running::of(program(&["serve", "--listen", "127.0.0.1:0", "--config", config]));
        let listed = listed(&server);
        ["c_echo", "c_add"].map(|tool| listed.contains(tool))
    };
    serve_with("echo", "");
    assert_eq!(
        run(&["pin"]),
        (
            Some(0),
            format!("backend \"child\" of /mcp: new tool c_echo\nPinned 1 entry of 1 backend in {}\n", pins.display())
        )
    );
    assert_eq!(run(&["pin", "--check"]).0, Some(0));
    assert_eq!(tools(), [true, false]);
    // The backend changes a tool, and adds another one.
    let pinned = std::fs::read_to_string(&pins).expect("pins");
    let (before, digest) = pinned.rsplit_once("= \"").expect("a digest");
    let other = if digest.starts_with('0') { "1" } else { "0" };
    std::fs::write(&pins, format!("{before}= \"{other}{}", &digest[1..])).expect("written");
    serve_with("echo,add", "");
    assert_eq!(tools(), [false, false]);
    let (code, said) = run(&["pin", "--check"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("changed tool c_echo") && said.contains("new tool c_add"), "{said}");
    let (code, said) = run(&["check", "--start"]);
    assert_eq!(code, Some(0), "{said}");
    for line in [
        "offers 2 tools in revision 2026-07-28",
        "hidden: tool c_echo (the definition has changed since it was pinned)",
        "hidden: tool c_add (the entry is new and not pinned)",
    ] {
        assert!(said.contains(line), "{said}");
    }
    serve_with("echo,add", "[pins]\nnew = \"pass\"");
    assert_eq!(tools(), [false, true]);
    serve_with("echo,add", "");
    assert_eq!(run(&["pin", "child"]).0, Some(0));
    assert_eq!(tools(), [true, true]);
    assert_eq!(run(&["pin", "nobody"]).0, Some(2));
    std::fs::write(&pins, "[broken").expect("written");
    for command in [&["check"][..], &["serve", "--listen", "127.0.0.1:0"], &["pin", "child"]] {
        let (code, said) = run(command);
        assert!(code == Some(2) && said.contains("attache.pins:1:") && said.contains("attache pin"), "{said}");
    }
    assert_eq!(run(&["pin"]).0, Some(0), "a broken file is written again");
    serve_with("echo,add", &format!("[pins]\nfile = {:?}", directory.join("no.pins")));
    let (code, said) = run(&["check"]);
    assert!(code == Some(2) && said.contains("does not exist: run attache pin"), "{said}");
}

#[test]
fn pins_of_a_gate_hold_a_changed_definition_back() {
    let place = directory("gate-pins");
    let (tools, pins) = (place.join("tools.json"), place.join("pins"));
    let script = place.join("server.sh");
    let text = format!(
        r#"while read -r line; do
    id=${{line#*'"id":'}}; id=${{id%%,*}}
    case "$line" in
    *server/discover*) echo '{{"jsonrpc":"2.0","id":'$id',"result":{{"supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{}}}}}}}}' ;;
    *tools/list*) echo '{{"jsonrpc":"2.0","id":'$id',"result":{{"resultType":"complete","tools":['"$(cat {})"']}}}}' ;;
    *notifications/*) ;;
    *) echo '{{"jsonrpc":"2.0","id":'$id',"error":{{"code":-32601,"message":"Method not found"}}}}' ;;
    esac
done
"#,
        tools.display()
    );
    std::fs::write(&script, text).expect("written");
    let offer = |description: &str| {
        let tool = format!(r#"{{"name":"t","description":"{description}","inputSchema":{{"type":"object"}}}}"#);
        std::fs::write(&tools, tool).expect("written");
    };
    let [pins, script] = [&pins, &script].map(|path| path.to_str().expect("UTF-8"));
    let behind = ["--", "sh", script];
    let pin = || {
        let run = program(&[&["gate", "--pin", "--pins-file", pins], &behind[..]].concat()).output().expect("it runs");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).expect("UTF-8")
    };
    let has_tool = || listed(&gate(&[&["--pins-file", pins], &behind[..]].concat())).contains("  t");
    offer("old");
    assert!(pin().contains("Pinned 1 entry of 1 backend"));
    assert!(has_tool());
    offer("new");
    assert!(!has_tool(), "the definition has changed");
    assert!(pin().contains("changed tool t"));
    assert!(has_tool());
    let missing = place.join("missing");
    let run = program(&[&["gate", "--pins-file", missing.to_str().expect("UTF-8")], &behind[..]].concat()).output();
    let said = String::from_utf8(run.expect("it runs").stderr).expect("UTF-8");
    assert!(said.contains("attache gate --pin"), "{said}");
}

#[test]
fn check_that_starts_the_backends_fails_if_one_cannot_be_connected() {
    let file = directory("check-start").join("attache.toml");
    let text = "[[server]]\n[[server.backend]]\nname = \"dead\"\ncommand = [\"sh\", \"-c\", \"exit 3\"]\n";
    std::fs::write(&file, text).expect("written");
    let run = program(&["check", "--start", "--config", file.to_str().expect("UTF-8")]).output().expect("it runs");
    let said = String::from_utf8_lossy(&run.stdout);
    assert_eq!(run.status.code(), Some(1), "{said}");
    assert!(said.contains("backend \"dead\" of /mcp: cannot be connected"), "{said}");
}

#[test]
fn policy_is_reloaded_by_a_signal_and_a_file_with_a_mistake_changes_nothing() {
    let file = directory("reload").join("attache.toml");
    let write = |rule: &str| {
        let text = format!(
            "[[server]]\n[[server.backend]]\nname = \"child\"\ncommand = [{ATTACHE:?}, \"serve\", \"--demo\", \"--stdio\"]\n{rule}\n"
        );
        std::fs::write(&file, text).expect("written");
    };
    write("");
    let server = Running::of(program(&["serve", "--listen", "127.0.0.1:0", "--config", file.to_str().expect("UTF-8")]));
    let tools = || {
        let listed = listed(&server);
        ["echo", "add"].map(|tool| listed.contains(&format!("  {tool}")))
    };
    let reload = || {
        let hup = Command::new("kill").args(["-HUP", &server.child.id().to_string()]).status().expect("it runs");
        assert!(hup.success());
    };
    assert_eq!(tools(), [true, true]);
    let until = |expected: [bool; 2]| {
        let deadline = std::time::Instant::now() + core::time::Duration::from_secs(20);
        while tools() != expected {
            assert!(std::time::Instant::now() < deadline, "{:?}", tools());
        }
    };
    for (rule, expected) in [("deny = [\"add\"]", [true, false]), ("allow = [\"add\"]", [false, true])] {
        write(rule);
        reload();
        until(expected);
    }
    write("deny = \"add\"");
    reload();
    std::thread::sleep(core::time::Duration::from_millis(500));
    assert_eq!(tools(), [false, true], "the old policy holds");
    write("");
    reload();
    until([true, true]);
}
