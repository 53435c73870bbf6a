//! Runs the session of the README word for word.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// A command of the session, and what it prints.
struct Step {
    command: String,
    printed: String,
}

/// Returns the steps of the last console block.
fn session(page: &str) -> Vec<Step> {
    let block = page.rsplit("```console\n").next().and_then(|rest| rest.split("```").next()).expect("a block");
    let mut steps: Vec<Step> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step { command: command.to_owned(), printed: String::new() }),
            (None, Some(step)) => step.printed += &format!("{line}\n"),
            (None, None) => panic!("output without a command: {line}"),
        }
    }
    steps
}

#[cfg(unix)]
#[test]
fn session_of_the_readme_prints_what_the_readme_shows() {
    let program = Path::new(env!("CARGO_BIN_EXE_notes-run")).parent().expect("a directory");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("a directory");
    let path = format!("{}:{}", program.display(), env::var("PATH").unwrap_or_default());
    let steps = session(include_str!("../../README.md"));
    assert!(steps.len() > 2);
    for Step { command, printed } in steps {
        let ran = Command::new("sh")
            .arg("-c")
            .arg(&command)
            .current_dir(&directory)
            .env("PATH", &path)
            .output()
            .expect("a shell");
        let said = String::from_utf8_lossy(&ran.stderr);
        // `read` prints the bytes of a resource, and adds no line end.
        assert_eq!(String::from_utf8_lossy(&ran.stdout).trim_end(), printed.trim_end(), "$ {command}\n{said}");
        assert!(ran.status.success(), "$ {command}\n{said}");
    }
}
