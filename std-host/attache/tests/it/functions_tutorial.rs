//! The tutorial of docs/functions.md, word for word except for its ports.
//!
//! It installs packages from the public registries, as the reader does. Without `FOREIGN_CLIENTS=required`, as in CI, it
//! is skipped.

use crate::functions::Running;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The commands of a block, each with the lines that it prints.
type Block = Vec<(String, Vec<String>)>;

/// The blocks of the section, in their order.
fn blocks() -> Vec<Block> {
    let text = include_str!("../../../../docs/functions.md");
    let (_, section) = text.split_once("## From an empty directory").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("its end");
    let inside = section.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next());
    let block = |text: &str| {
        let mut commands = Block::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match (line.strip_prefix("$ "), commands.last_mut()) {
                (Some(command), _) => commands.push((command.to_owned(), Vec::new())),
                (None, Some((_, printed))) => printed.push(line.to_owned()),
                (None, None) => panic!("output without a command: {line}"),
            }
        }
        commands
    };
    inside.map(block).collect()
}

/// The terminals of a reader: a working directory, and the server that runs.
struct Reader {
    directory: PathBuf,
    server: Option<Running>,
}

const URL: &str = "http://127.0.0.1:7071/runtime/webhooks/mcp";

impl Reader {
    fn shell(&self, command: &str) -> Command {
        let own = Path::new(env!("CARGO_BIN_EXE_attache")).parent().expect("a directory");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(&self.directory).env("ATTACHE_LISTEN", "127.0.0.1:0");
        shell.env("PATH", format!("{}:{path}", own.display()));
        shell
    }

    /// Runs a command, and checks what it prints.
    fn run(&mut self, command: &str, expected: &[String]) {
        let printed = if let Some(directory) = command.strip_prefix("cd ") {
            self.directory.push(directory);
            String::new()
        } else if command.starts_with("attache functions ") && !command.contains(" new ") {
            // The reader stops the server that ran before.
            self.server = None;
            let server = Running::of(&mut self.shell(&format!("exec {command}")));
            let printed = server.printed.replace(&server.url, URL);
            self.server = Some(server);
            printed
        } else {
            let url = self.server.as_ref().map_or(URL, |server| server.url.as_str());
            let run = self.shell(&command.replace(URL, url)).output().expect("it runs");
            let printed = String::from_utf8_lossy(&run.stdout).into_owned();
            assert!(run.status.success(), "{command}: {printed}{}", String::from_utf8_lossy(&run.stderr));
            printed
        };
        let lines: Vec<&str> = printed.lines().collect();
        for line in expected {
            assert!(lines.contains(&line.as_str()), "{command}: {line:?} is not in {printed:?}");
        }
    }
}

#[test]
fn each_row_of_the_tables_of_bindings_and_results_names_a_test_that_exists() {
    let text = include_str!("../../../../docs/functions.md");
    let (_, section) = text.split_once("\n## Bindings").expect("the section");
    let (section, _) = section.split_once("\n### ").expect("its end");
    let tests = [
        include_str!("functions.rs"),
        include_str!("functions_http.rs"),
        include_str!("../../../src/functions/context.rs"),
        include_str!("../../../src/functions/function.rs"),
        include_str!("../../../src/functions/results.rs"),
    ];
    let rows: Vec<&str> =
        section.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| Test |")).collect();
    assert_eq!(rows.len(), 18, "{rows:?}");
    for row in rows {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().expect("a cell");
        for name in cell.split(", ").map(|name| name.trim_matches('`')) {
            assert!(tests.iter().any(|file| file.contains(&format!("fn {name}()"))), "{name}: {row}");
        }
    }
}

#[test]
fn tutorial_leads_from_an_empty_directory_to_a_package_in_each_language() {
    if std::env::var_os("FOREIGN_CLIENTS").is_none_or(|wish| wish != "required") {
        return;
    }
    let blocks = blocks();
    let [python, typescript, csharp, common @ ..] = blocks.as_slice() else { panic!("{blocks:?}") };
    assert!(csharp.iter().any(|(command, _)| command.contains("dotnet publish")), "{csharp:?}");
    assert_eq!(common.len(), 6, "run, connect, protect, connect with the key, package, register: {common:?}");
    std::thread::scope(|scope| {
        for (language, first) in [("python", python), ("typescript", typescript)] {
            scope.spawn(move || {
                let directory =
                    std::env::temp_dir().join(format!("attache-tutorial-{language}-{}", std::process::id()));
                let _ = std::fs::remove_dir_all(&directory);
                std::fs::create_dir_all(&directory).expect("a directory");
                let mut reader = Reader { directory: directory.clone(), server: None };
                for (command, printed) in first.iter().chain(common.iter().flatten()) {
                    reader.run(command, printed);
                }
                assert!(directory.join("app.zip").is_file() && directory.join("image/Containerfile").is_file());
                drop(reader);
                let _ = std::fs::remove_dir_all(&directory);
            });
        }
    });
}
