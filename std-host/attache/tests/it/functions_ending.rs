//! Workers end when the program is killed, even if they would not notice it themselves.

use crate::functions::{Directory, Running};
use crate::functions_events::begin;
use core::time::Duration;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Instant;

/// A handler that ignores its input and signals, with a child that does so too.
const HANDLER: &str = r#"#!/usr/bin/env python3
import os, signal, subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "1000"])

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

with open("pids", "w") as file:
    file.write(f"{os.getpid()}\n{child.pid}\n")
HTTPServer(("127.0.0.1", int(os.environ["FUNCTIONS_CUSTOMHANDLER_PORT"])), Handler).serve_forever()
"#;

/// A function that never gives its event loop back, so that the end of the stream is not noticed.
const BUSY: &str = r#"
const { app } = require('@azure/functions');
const fs = require('node:fs');
fs.writeFileSync('pids', `${process.pid}\n`);
app.mcpTool('spin', { toolName: 'spin', description: 'Spins', toolProperties: {}, handler: () => { for (;;); } });
"#;

/// Whether a process runs. One that nothing has waited for yet has ended.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn no_worker_is_left_when_the_program_is_killed() {
    let function =
        r#"{"bindings": [{"type": "mcpToolTrigger", "direction": "in", "name": "context", "toolName": "wait"}]}"#;
    let host = r#"{"customHandler": {"description": {"defaultExecutablePath": "handler"}}}"#;
    let handler: &[_] = &[("host.json", host), ("handler", HANDLER), ("Wait/function.json", function)];
    let busy: &[_] = &[("host.json", "{}"), ("package.json", r#"{"main": "index.js"}"#), ("index.js", BUSY)];
    for (name, files) in [("orphan-handler", handler), ("orphan-node", busy)] {
        let Some(app) = Directory::with(name, files) else { return };
        let handler = app.0.join("handler");
        if handler.exists() {
            fs::set_permissions(handler, fs::Permissions::from_mode(0o755)).expect("set");
        }
        let state = app.0.join("state");
        let mut server = Running::with(&app, &["--children-state-dir", state.to_str().expect("UTF-8")]);
        let pids = fs::read_to_string(app.0.join("pids")).expect("written at the start");
        assert!(pids.lines().all(runs), "{name}: {pids}");
        let mut spins = None;
        if name == "orphan-node" {
            spins = Some(begin(&server, "spin"));
            let busy = |pid: &str| {
                let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                let ticks = stat.split(' ').nth(13).and_then(|ticks| ticks.parse::<u64>().ok());
                ticks.is_some_and(|ticks| ticks > 100)
            };
            until("the function spins", || pids.lines().all(busy));
        }
        let _ = Command::new("kill").args(["-KILL", &server.child.id().to_string()]).status();
        let _ = server.child.wait();
        drop(spins);
        until(&format!("{name}: all processes have ended: {pids}"), || !pids.lines().any(runs));
    }
}
