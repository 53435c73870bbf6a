//! Executables that are tools.

use super::access::{foreign_writer, is_executable, text};
use super::description::{Description, Tool};
use super::execution::{Execution, Surroundings};
use super::folder::{Content, Folder, list};
use super::limits::RUNS;
use crate::backend::{Answer, Backend, Call, Entry, Publisher, Run};
use crate::children::{Caps, Supervision};
use crate::private_file::InvalidFile;
use core::future::ready;
use core::pin::Pin;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// A directory of executables, each with a description file. The file `NAME.toml` or `NAME.json`
/// describes the executable `NAME`, or `NAME` with another extension.
///
/// A tool gets its arguments as JSON on standard input, and each text, number and truth value also in
/// the environment variable `ARG_NAME`. They never reach a command line. Its standard output is the
/// result; an exit status other than 0 makes it an error, with the last lines of standard error.
#[derive(Debug)]
#[must_use]
pub struct ToolFiles {
    folder: Folder<Tools>,
    caps: Caps,
    supervision: Option<Supervision>,
    runs: Arc<Semaphore>,
}

impl ToolFiles {
    /// Reads the tools of a directory.
    ///
    /// # Errors
    /// All problems of the directory and its files. Among them: a user other than the owner may write
    /// the directory, a description or an executable.
    pub fn open(directory: &Path) -> Result<Self, InvalidFile> {
        let runs = Arc::new(Semaphore::new(RUNS));
        Ok(Self { folder: Folder::open("", directory)?, caps: Caps::default(), supervision: None, runs })
    }

    /// Limits what each run of a tool may use.
    pub fn caps(mut self, caps: Caps) -> Self {
        self.caps = caps;
        self
    }

    /// Supervises the running tools.
    pub fn supervision(mut self, supervision: &Supervision) -> Self {
        self.supervision = Some(supervision.clone());
        self
    }
}

impl Backend for ToolFiles {
    fn attach(&self, publisher: Publisher) {
        self.folder.publish(publisher);
    }

    fn start(&self, call: Call) -> Run {
        let tools = self.folder.content();
        if !tools.0.contains_key(call.name()) {
            return Box::pin(ready(Answer::Failed("This tool was removed".to_owned())));
        }
        let surroundings = Surroundings {
            directory: self.folder.directory().to_owned(),
            caps: self.caps.clone(),
            supervision: self.supervision.clone(),
        };
        let runs = Arc::clone(&self.runs);
        Box::pin(async move {
            let Ok(_place) = runs.acquire().await else { return Answer::Failed("The server is stopping".to_owned()) };
            // The entry was there a moment ago.
            let Some(tool) = tools.0.get(call.name()) else {
                return Answer::Failed("This tool was removed".to_owned());
            };
            Execution { tool, call: &call, surroundings: &surroundings }.run().await
        })
    }

    fn stop(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.folder.stop();
        self.runs.close();
        Box::pin(ready(()))
    }
}

/// The tools of a directory, by name.
struct Tools(BTreeMap<String, Tool>);

impl Content for Tools {
    fn read(_: &str, directory: &Path) -> (Self, Vec<String>) {
        let mut tools = BTreeMap::new();
        let paths = match checked(directory).and_then(|()| list(directory).map_err(|error| error.to_string())) {
            Ok(paths) => paths,
            Err(problem) => return (Self(tools), vec![problem]),
        };
        let mut problems = Vec::new();
        for file in paths.iter().filter(|path| is_description(path)) {
            match tool(file, &paths) {
                Ok((name, tool)) => match tools.insert(name, tool) {
                    None => {}
                    Some(other) => problems.push(format!(
                        "{} and {} describe the same tool: remove one",
                        other.file.display(),
                        file.display()
                    )),
                },
                Err(problem) => problems.push(problem),
            }
        }
        (Self(tools), problems)
    }

    fn files(&self) -> Vec<PathBuf> {
        self.0.values().flat_map(|tool| [tool.executable.clone(), tool.file.clone()]).collect()
    }

    fn entries(&self) -> Vec<Entry> {
        self.0.values().map(|tool| tool.description.entry.clone()).collect()
    }
}

fn is_description(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml" || extension == "json")
}

/// Refuses a file that another user than its owner may write.
fn checked(path: &Path) -> Result<(), String> {
    match foreign_writer(path) {
        Ok(None) => Ok(()),
        Ok(Some(problem)) => Err(problem),
        Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
    }
}

/// Reads the tool of a description file. `paths` are the files of the directory.
fn tool(file: &Path, paths: &[PathBuf]) -> Result<(String, Tool), String> {
    let shown = file.display();
    let name = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    // MCP 2025-11-25 server/tools, "Tool Names".
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(is_name) {
        return Err(format!("{shown}: the name of a tool has 1 to 128 letters, digits, _, - and dots"));
    }
    let is_its = |path: &&PathBuf| {
        let is_named =
            path.file_stem().is_some_and(|stem| stem == name) || path.file_name().is_some_and(|own| own == name);
        is_named && !is_description(path) && is_executable(path)
    };
    let mut executables = paths.iter().filter(is_its);
    let executable = match (executables.next(), executables.next()) {
        (Some(executable), None) => executable.clone(),
        (None, _) => {
            return Err(format!("{shown}: there is no executable {name} next to it: chmod +x it, or remove {shown}"));
        }
        (Some(one), Some(other)) => {
            return Err(format!("{shown}: both {} and {} could be meant: rename one", one.display(), other.display()));
        }
    };
    checked(file)?;
    checked(&executable)?;
    let description = text(file)
        .and_then(|text| Description::read(name, file, &text).map_err(|problem| format!("{shown}: {problem}")))?;
    Ok((name.to_owned(), Tool { executable, file: file.to_owned(), description }))
}
