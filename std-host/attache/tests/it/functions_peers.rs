//! Independent workers: on grpcio, on @grpc/grpc-js, and one that behaves as the isolated worker of .NET.

use crate::functions::{Directory, Running, libraries, post};
use crate::functions_events::{begin, call};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

fn workers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/foreign/functions/workers")
        .canonicalize()
        .expect("it is there")
}

/// Starts an app with a worker in this language.
fn start(language: &'static str) -> Option<(Directory, Running)> {
    let (mark, file, settings) = match language {
        "python" => (("function_app.py", ""), "worker.py", r#"{"language": "python", "defaultWorkerPath": "FILE"}"#),
        _ => (
            ("package.json", "{}"),
            "worker.mjs",
            r#"{"language": "node", "defaultExecutablePath": "node", "defaultWorkerPath": "FILE"}"#,
        ),
    };
    let file = workers().join(file);
    let config = format!(r#"{{"description": {}}}"#, settings.replace("FILE", file.to_str().expect("UTF-8")));
    let app = Directory::with(
        &format!("peer-{language}"),
        &[("host.json", "{}"), mark, ("worker/worker.config.json", &config)],
    )?;
    let worker = app.0.join("worker");
    let server = Running::with(&app, &["--worker", worker.to_str().expect("UTF-8"), "--processes", "2"]);
    Some((app, server))
}

/// Starts the build output of an app in .NET, which is its own worker.
fn start_dotnet() -> Option<(Directory, Running)> {
    let python = libraries()?.join("venv/bin/python");
    let program = format!("#!/bin/sh\nexec {} {} \"$@\"\n", python.display(), workers().join("worker.py").display());
    let config = r#"{"description": {"language": "dotnet-isolated", "extensions": [".dll"], "defaultExecutablePath": "{WorkerRoot}App", "workerIndexing": "true"}}"#;
    let app =
        Directory::with("peer-dotnet", &[("host.json", "{}"), ("worker.config.json", config), ("App", &program)])?;
    fs::set_permissions(app.0.join("App"), fs::Permissions::from_mode(0o755)).expect("set");
    let server = Running::with(&app, &["--env", "STYLE=dotnet", "--processes", "2"]);
    Some((app, server))
}

#[test]
fn workers_on_official_grpc_libraries_serve_every_form_of_value() {
    for start in [|| start("python"), || start("node"), start_dotnet] {
        let Some((app, mut server)) = start() else { return };
        let of = app.path();
        let echo = server.text("echo", json!({"message": "hey"}));
        match of.contains("dotnet") {
            // A parameter of its own gets the argument.
            true => assert_eq!(echo, "hey"),
            false => {
                let context: Value = serde_json::from_str(&echo).expect("JSON");
                assert_eq!(context["arguments"], json!({"message": "hey"}), "{of}");
            }
        }
        let schema = server.entry("tools", "name", "echo")["inputSchema"].clone();
        assert_eq!(
            (&schema["required"], &schema["properties"]["message"]["type"]),
            (&json!(["message"]), &json!("string"))
        );
        assert_eq!(server.text("size", json!({"message": "y".repeat(3_000_000)})), "3000000", "{of}");
        assert_eq!(server.text("big", json!({"bytes": 3_000_000})).len(), 3_000_000, "{of}");
        assert_eq!(server.text("list", json!({})), "[1,-2]", "{of}");
        let read = server.ask("resources/read", json!({"uri": "file://bytes"}));
        assert_eq!(read["result"]["contents"][0]["blob"].as_str().map(str::len), Some(4_096_000), "{of}");
        let failed = server.call("fail", json!({}));
        assert!(failed["isError"] == true && !failed.to_string().contains("kaput"), "{of}: {failed}");
        server.logs("kaput");
        let (fields, body) = call("whole");
        let (_, events) = post(&server.url, &fields, body.as_bytes());
        let events = String::from_utf8(events).expect("UTF-8");
        assert!(events.contains(r#""progress":1"#) && events.contains(r#""text":"1.5""#), "{of}: {events}");
        std::thread::scope(|scope| {
            let server = &server;
            let call = |length| scope.spawn(move || server.text("size", json!({"message": "z".repeat(length)})));
            let calls: Vec<_> = (0..50).map(|length| (length, call(length))).collect();
            for (length, call) in calls {
                assert_eq!(call.join().expect("an answer"), length.to_string(), "{of}");
            }
        });
        let patient = begin(&server, "patient");
        std::thread::sleep(core::time::Duration::from_millis(300));
        drop(patient);
        server.logs("patience was cancelled");
        // The workers are asked to end before they are killed.
        let _ = std::process::Command::new("kill").args(["-TERM", &server.child.id().to_string()]).status();
        let _ = server.child.wait();
        server.logs("asked to end");
    }
}
