//! The configuration as an operator meets it: what counts, where it comes from, and what stops the start.

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A directory of its own, with this `attache.toml` in it.
struct Directory(PathBuf);

impl Directory {
    fn with(name: &str, file: &str) -> Self {
        let path = std::env::temp_dir().join(format!("attache-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        std::fs::write(path.join("attache.toml"), file).expect("a file");
        Self(path)
    }

    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_attache"));
        command.current_dir(&self.0).args(arguments).envs(variables.iter().copied());
        command.output().expect("the program runs")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn flag_counts_before_variable_before_file_before_default_and_each_is_printed_with_its_origin() {
    let directory =
        Directory::with("order", "path = \"/file\"\n[limits]\nbody = \"1MiB\"\ncalls = 7\nidle_time = \"1min\"\n");
    let variables = [("ATTACHE_LIMITS_BODY", "2MiB"), ("ATTACHE_LIMITS_CALLS", "8")];
    let run = directory.run(&["config", "--limits-calls", "9"], &variables);
    let printed = String::from_utf8_lossy(&run.stdout);
    for line in [
        "path = \"/file\"  # attache.toml:1",
        "limits.idle_time = \"1min\"  # attache.toml:5",
        "limits.body = \"2MiB\"  # ATTACHE_LIMITS_BODY",
        "limits.calls = \"9\"  # --limits-calls",
        "limits.head_time = \"10s\"  # default",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
}

#[test]
fn printed_configuration_is_a_file_that_says_the_same() {
    let first = Directory::with(
        "print",
        "allow_host = [\"a\", \"b\"]\n[[server]]\npath = \"/a\"\n[[server]]\npath = \"/b\"\ntools = [\"add\"]\n",
    );
    let printed = first.run(&["config"], &[]).stdout;
    let second = Directory::with("again", &String::from_utf8_lossy(&printed));
    let again = second.run(&["config"], &[]);
    let values = |printed: &[u8]| -> Vec<String> {
        String::from_utf8_lossy(printed).lines().filter_map(|line| Some(line.split("  #").next()?.to_owned())).collect()
    };
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(values(&printed), values(&again.stdout));
}

#[test]
fn mistake_stops_the_start_with_its_place_and_the_remedy() {
    for (file, arguments, variables, words) in [
        ("\n\nlisen = \"127.0.0.1:1\"", &[][..], &[][..], &["attache.toml:3", "lisen", "did you mean listen?"][..]),
        ("[limits]\nbdy = 1", &[], &[], &["attache.toml:2", "limits.bdy", "limits.body"]),
        ("[limit]\nbody = 1", &[], &[], &["attache.toml:1", "did you mean limits?"]),
        ("[limits]\nbody = \"4MB\"", &[], &[], &["attache.toml:2", "limits.body", "4MiB"]),
        ("[limits]\nhead = 100", &[], &[], &["attache.toml:2", "8KiB"]),
        ("path = [\"/a\", \"/b\"]", &[], &[], &["attache.toml:1", "path"]),
        ("path = ", &[], &[], &["attache.toml:1"]),
        ("[[server]]\nlisten = \"127.0.0.1:1\"", &[], &[], &["attache.toml:2", "listen"]),
        ("[[server]]\n[[server]]\npath = \"/mcp\"", &[], &[], &["attache.toml:3", "two servers", "/mcp"]),
        ("tools = [\"ecco\"]", &[], &[], &["attache.toml:1", "ecco", "echo, add"]),
        ("tls.certificate = \"a.pem\"", &[], &[], &["attache.toml:1", "tls.key"]),
        ("[auth]\nscopes = [\"a\"]", &[], &[], &["attache.toml:2", "auth.scopes", "auth.issuer"]),
        ("[auth]\nissuer = \"http://localhost.example\"", &[], &[], &["attache.toml:2", "auth.issuer", "https"]),
        ("[auth]\nplatform_file = \"attache.toml\"", &[], &[], &["attache.toml", "is no JSON"]),
        ("[auth]\nplatform_file = \"a\"\nscopes = [\"b\"]", &[], &[], &["attache.toml:3", "auth.platform_file"]),
        ("", &["--auth", "none.json"], &[], &["none.json", "cannot be read"]),
        ("[auth]\nissuer = \"http://id.example\"", &[], &[], &["attache.toml:2", "auth.issuer", "https"]),
        (
            "[auth]\nissuer = \"https://i\"\nresource = \"mcp\"",
            &[],
            &[],
            &["attache.toml:3", "auth.resource", "https://api"],
        ),
        ("[auth]\nrequire = \"either\"\nissuer = \"https://i\"", &[], &[], &["attache.toml:2", "auth.keys_file"]),
        ("[auth]\nrequire = \"anonymous\"\nissuer = \"https://i\"", &[], &[], &["attache.toml:2", "anonymous"]),
        ("[auth]\nrequire = \"nobody\"", &[], &[], &["attache.toml:2", "anonymous"]),
        ("[[server]]\n[server.auth]\nissuers = [\"a\"]", &[], &[], &["attache.toml:3", "auth.issuers"]),
        ("[seal]\nkeys = \"00\"", &[], &[], &["attache.toml:2", "seal.keys is a secret", "ATTACHE_SEAL_KEYS"]),
        ("", &["--limits-calls", "0"], &[], &["--limits-calls", "above 0"]),
        ("", &[], &[("ATTACHE_LIMITS_HEAD_TIME", "5")], &["ATTACHE_LIMITS_HEAD_TIME", "30s"]),
        ("", &["--config", "none.toml"], &[], &["none.toml"]),
    ] {
        let directory = Directory::with("mistake", file);
        for command in ["config", "serve"] {
            let run = directory.run(&[&[command], arguments].concat(), variables);
            let said = String::from_utf8_lossy(&run.stderr);
            assert_eq!(run.status.code(), Some(2), "{file} {arguments:?}: {said}");
            assert!(words.iter().all(|word| said.contains(word)), "{file} {arguments:?}: {said}");
        }
    }
}

#[test]
fn schema_that_is_shipped_is_that_of_the_program_and_has_every_setting() {
    let shipped =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/attache.schema.json")).expect("it is there");
    let run = Directory::with("schema", "").run(&["config", "--schema"], &[]);
    let same = String::from_utf8_lossy(&run.stdout) == shipped;
    assert!(same, "write it again: attache config --schema > std-host/attache.schema.json");
    let schema: Value = serde_json::from_str(&shipped).expect("JSON");
    assert_eq!(schema["properties"]["limits"]["properties"]["body"]["default"], "4MiB");
}

#[test]
fn defaults_of_limits_are_those_of_the_library() {
    use attache_host::Limits;
    let Limits { body, body_time, head, fields, head_time, idle_time, stall_time, .. } = Limits::default();
    let Limits {
        connections,
        multiplexed,
        stream_time,
        calls,
        calls_waiting,
        call_wait,
        call_time,
        streams,
        stop_grace,
        ..
    } = Limits::default();
    let run = Directory::with("defaults", "").run(&["config"], &[]);
    let printed = String::from_utf8_lossy(&run.stdout);
    let seconds = |time: core::time::Duration| format!("{}s", time.as_secs());
    for (key, value) in [
        ("body", format!("{}MiB", body >> 20)),
        ("body_time", seconds(body_time)),
        ("head", format!("{}KiB", head >> 10)),
        ("fields", fields.to_string()),
        ("head_time", seconds(head_time)),
        ("idle_time", seconds(idle_time)),
        ("stall_time", seconds(stall_time)),
        ("stream_time", seconds(stream_time)),
        ("connections", connections.to_string()),
        ("multiplexed", multiplexed.to_string()),
        ("calls", calls.to_string()),
        ("calls_waiting", calls_waiting.to_string()),
        ("call_wait", seconds(call_wait)),
        ("call_time", seconds(call_time)),
        ("streams", streams.to_string()),
        ("stop_grace", seconds(stop_grace)),
    ] {
        let line = format!("limits.{key} = {value:?}  # default");
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
}

#[test]
fn files_that_an_editor_of_windows_has_saved_are_read_as_others_are() {
    let directory = Directory::with("windows", "\u{feff}path = \"/file\"\r\n[limits]\r\ncalls = 7\r\n");
    let printed = directory.run(&["config"], &[]).stdout;
    let printed = String::from_utf8_lossy(&printed);
    for line in ["path = \"/file\"  # attache.toml:1", "limits.calls = \"7\"  # attache.toml:3"] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
    // The first name of a file of keys, and a key to seal with.
    let digest = "0f".repeat(32);
    for (setting, file, text) in [
        ("--auth-keys-file", "keys", format!("\u{feff}ci {digest}\r\nother {digest}\r\n")),
        ("--seal-key-file", "seal.key", format!("\u{feff}{digest}\r\n")),
    ] {
        let path = directory.0.join(file);
        std::fs::write(&path, text).expect("written");
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("permissions");
        let path = path.display().to_string();
        let listed = match setting {
            "--auth-keys-file" => directory.run(&["key", "list", "--keys-file", &path], &[]),
            _ => directory.run(&["config", setting, &path], &[]),
        };
        let said = String::from_utf8_lossy(&listed.stdout).into_owned() + &String::from_utf8_lossy(&listed.stderr);
        assert!(listed.status.success(), "{setting}: {said}");
        assert!(!said.contains('\u{feff}'), "{setting}: {said}");
    }
}
