//! Markdown files that are prompts.

use super::access::text;
use super::folder::{Content, Folder, list};
use super::template::Template;
use crate::backend::{Answer, Backend, Call, Entry, Kind, Publisher, Run};
use crate::private_file::InvalidFile;
use core::future::ready;
use core::pin::Pin;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A directory of Markdown files (`NAME.md`), each a prompt. A part in TOML between two lines `+++` at
/// the front of a file may declare `title`, `description` and `[[arguments]]`; `{{name}}` in the text is
/// replaced by an argument.
#[derive(Debug)]
#[must_use]
pub struct PromptFiles(Folder<Prompts>);

impl PromptFiles {
    /// Reads the prompts of a directory.
    ///
    /// # Errors
    /// All problems of the directory and its files.
    pub fn open(directory: &Path) -> Result<Self, InvalidFile> {
        Folder::open("", directory).map(Self)
    }
}

impl Backend for PromptFiles {
    fn attach(&self, publisher: Publisher) {
        self.0.publish(publisher);
    }

    fn start(&self, call: Call) -> Run {
        Box::pin(ready(self.0.content().answer(&call)))
    }

    fn stop(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.0.stop();
        Box::pin(ready(()))
    }
}

struct Prompts(BTreeMap<String, Prompt>);

struct Prompt {
    file: PathBuf,
    template: Template,
    entry: Entry,
}

impl Prompts {
    fn answer(&self, call: &Call) -> Answer {
        let invalid = |message: String| Answer::Error { code: INVALID_PARAMS, message, data: None };
        let Some(prompt) = self.0.get(call.name()) else { return invalid("This prompt was removed".to_owned()) };
        let arguments: Map<String, Value> = serde_json::from_str(call.arguments()).unwrap_or_default();
        let text = match prompt.template.filled(&arguments) {
            Ok(text) => text,
            Err(reason) => return invalid(reason),
        };
        let mut result = json!({"messages": [{"role": "user", "content": {"type": "text", "text": text}}]});
        if let Some(description) = prompt.template.description() {
            result["description"] = description.into();
        }
        RawValue::from_string(result.to_string()).map_or_else(|error| Answer::error(&error), Answer::Result)
    }
}

// JSON-RPC 2.0 §5.1; MCP server/prompts, "Error Handling": missing arguments.
const INVALID_PARAMS: i64 = -32602;

impl Content for Prompts {
    fn read(_: &str, directory: &Path) -> (Self, Vec<String>) {
        let mut prompts = BTreeMap::new();
        let paths = match list(directory) {
            Ok(paths) => paths,
            Err(error) => return (Self(prompts), vec![format!("{} cannot be read: {error}", directory.display())]),
        };
        let mut problems = Vec::new();
        for file in paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
            let Some(name) = file.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned) else { continue };
            match prompt(&name, file) {
                Ok(prompt) => drop(prompts.insert(name, prompt)),
                Err(problem) => problems.push(problem),
            }
        }
        (Self(prompts), problems)
    }

    fn files(&self) -> Vec<PathBuf> {
        self.0.values().map(|prompt| prompt.file.clone()).collect()
    }

    fn entries(&self) -> Vec<Entry> {
        self.0.values().map(|prompt| prompt.entry.clone()).collect()
    }
}

fn prompt(name: &str, file: PathBuf) -> Result<Prompt, String> {
    let fault = |problem: String| format!("{}: {problem}", file.display());
    let template = Template::read(&text(&file)?).map_err(fault)?;
    let listed = template.listed(name).to_string();
    let entry = Entry::read(Kind::Prompt, &listed).map_err(|error| fault(error.to_string()))?;
    Ok(Prompt { file, template, entry })
}
