//! `attache init`: writes a configuration file with the basic settings, commented out.

use super::assemble::MakeServer;
use super::config::{Layers, basic_settings};
use super::fault::Fault;
use super::print::print;
use super::problem::Problem;
use clap::Args;
use std::io::{self, Write as _};
use std::path::PathBuf;

/// Write an attache.toml with the basic settings, each with its explanation and its default
#[derive(Args, Debug)]
pub(super) struct Init {
    /// File to write; an existing file is never changed
    #[arg(value_name = "FILE", default_value = "attache.toml")]
    file: PathBuf,
}

impl Init {
    pub(super) fn run(&self, make: MakeServer<'_>) -> Result<(), Problem> {
        let file = self.file.display();
        let text = text(offers_something(make)?);
        std::fs::File::create_new(&self.file).and_then(|mut new| new.write_all(text.as_bytes())).map_err(|error| {
            Fault::of(match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    format!("{file} exists already: move it away, or name another file: attache init FILE")
                }
                _ => format!("{file} cannot be written: {error}"),
            })
        })?;
        let flag = if self.file.as_os_str() == "attache.toml" { String::new() } else { format!(" --config {file}") };
        print(&format!("Wrote {file}. Edit it, then: attache check{flag}, and: attache serve{flag}\n"))
    }
}

/// Whether the program serves something without further settings.
fn offers_something(make: MakeServer<'_>) -> Result<bool, Problem> {
    let config = Layers::default().config()?;
    Ok(config.servers.first().is_some_and(|server| !make(server).is_empty()))
}

const HEAD: &str = "\
# The settings that most operators need. A line such as `#path = …` has the default or an example:
# remove the # to set it. `attache serve --help` explains all settings; `attache check` reads this
# file and tells every mistake.
";

const BACKENDS: &str = r#"
# Other MCP servers, whose tools this one offers (docs/gate.md). Each is a command or a URL.
#[[server]]
#[[server.backend]]
#name = "files"
#command = ["npx", "-y", "@modelcontextprotocol/server-filesystem", "/srv/data"]
#[[server.backend]]
#name = "crm"
#url = "http://127.0.0.1:3000/mcp"
#prefix = "crm_"
"#;

/// The text of the file. A program that serves nothing by itself gets the demo tools.
fn text(offers_something: bool) -> String {
    let mut text = HEAD.to_owned();
    let mut table = "";
    for setting in basic_settings() {
        let (own_table, key) = setting.key.split_once('.').unwrap_or(("", setting.key));
        if table != own_table {
            table = own_table;
            text.push_str(&format!("\n[{table}]"));
        }
        let is_demo = setting.key == "demo" && !offers_something;
        let mark = if is_demo { "" } else { "#" };
        let value = if is_demo { "true".to_owned() } else { setting.example() };
        text.push_str(&format!("\n{}{mark}{key} = {value}\n", comment(setting.help)));
    }
    text.push_str(BACKENDS);
    text
}

/// Returns a text as comment lines.
fn comment(text: &str) -> String {
    let mut lines = String::new();
    let mut line = "#".to_owned();
    for word in text.split_whitespace() {
        if line.len() + word.len() >= WIDTH {
            lines.push_str(&format!("{line}\n"));
            "#".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    format!("{lines}{line}\n")
}

/// The width of comments.
const WIDTH: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Faults;
    use std::path::Path;

    fn faults(text: &str) -> Option<String> {
        let (mut layers, mut faults) = (Layers::default(), Faults::default());
        layers.file(Path::new("attache.toml"), text, &mut faults);
        faults.end().err().map(|fault| fault.to_string())
    }

    #[test]
    fn file_is_valid_as_written_and_so_is_each_line_that_is_uncommented() {
        let text = text(false);
        assert_eq!(faults(&text), None);
        let lines: Vec<&str> = text.lines().collect();
        let settings = lines.iter().filter(|line| line.starts_with('#') && !line.starts_with("# "));
        assert!(settings.clone().count() > 8, "{text}");
        let uncommented: Vec<&str> =
            lines.iter().map(|line| if line.starts_with("# ") { line } else { line.trim_start_matches('#') }).collect();
        // The example names a program that may not be installed here.
        let uncommented = uncommented.join("\n").replace("\"npx\"", "\"sh\"");
        assert_eq!(faults(&uncommented), None, "{uncommented}");
    }

    #[test]
    fn every_basic_setting_is_there_with_its_default() {
        let text = text(true);
        for setting in basic_settings() {
            let key = setting.key.rsplit('.').next().unwrap_or_default();
            assert!(text.contains(&format!("\n#{key} = {}", setting.example())), "{key}\n{text}");
        }
        assert!(text.contains("\n#listen = \"127.0.0.1:8080\"\n") && text.contains("\n#demo = false\n"), "{text}");
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
    }
}
