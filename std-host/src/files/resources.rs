//! Files that are resources.

use super::access::open_below;
use super::folder::{Content, Folder, list};
use super::limits::{DEPTH, FILES, RESOURCE};
use super::media_type;
use crate::backend::{Answer, Backend, Call, Entry, Kind, Publisher, Run};
use crate::private_file::InvalidFile;
use crate::sink::Growing;
use core::future::ready;
use core::pin::Pin;
use serde_json::json;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{fs, io};
use tokio::task::spawn_blocking;

/// The files of a directory and of the directories in it, each a resource with the URI
/// `resource://NAME/PATH`. Hidden files and symbolic links are left out.
#[derive(Debug)]
#[must_use]
pub struct ResourceFiles(Folder<Files>);

impl ResourceFiles {
    /// Reads the resources of a directory. `name` is the host of their URIs.
    ///
    /// # Errors
    /// All problems of the directory and its files.
    pub fn open(name: &str, directory: &Path) -> Result<Self, InvalidFile> {
        Folder::open(&escaped(name), directory).map(Self)
    }
}

impl Backend for ResourceFiles {
    fn attach(&self, publisher: Publisher) {
        self.0.publish(publisher);
    }

    fn start(&self, call: Call) -> Run {
        let files = self.0.content();
        let directory = self.0.directory().to_owned();
        Box::pin(async move {
            // The call names an entry that was published, so the path was found in the directory.
            let Some((path, file)) = files.0.get_key_value(call.name()) else { return missing(&call) };
            let (uri, relative, media_type) = (path.clone(), file.relative.clone(), file.media_type);
            let read = spawn_blocking(move || read(&uri, &directory, &relative, media_type)).await;
            match read {
                Ok(Ok(answer)) => answer,
                Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => missing(&call),
                Ok(Err(error)) => Answer::error(&error),
                Err(error) => Answer::error(&error),
            }
        })
    }

    fn stop(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.0.stop();
        Box::pin(ready(()))
    }
}

/// The files of a directory, by URI.
struct Files(BTreeMap<String, File>);

struct File {
    /// The path below the directory.
    relative: PathBuf,
    path: PathBuf,
    media_type: Option<&'static str>,
    /// Distinguishes two states of the file.
    stamp: (Option<SystemTime>, u64),
    entry: Entry,
}

impl Content for Files {
    fn read(name: &str, directory: &Path) -> (Self, Vec<String>) {
        let mut found = Found { name, root: directory, files: BTreeMap::new(), problems: Vec::new() };
        found.walk();
        (Self(found.files), found.problems)
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut paths: Vec<_> = self.0.values().map(|file| file.path.clone()).collect();
        // A new file changes its directory.
        paths.extend(self.0.values().filter_map(|file| file.path.parent().map(Path::to_owned)));
        paths.sort();
        paths.dedup();
        paths
    }

    fn entries(&self) -> Vec<Entry> {
        self.0.values().map(|file| file.entry.clone()).collect()
    }

    fn updated(&self, before: &Self) -> Vec<String> {
        let differs =
            |(uri, file): &(&String, &File)| before.0.get(*uri).is_some_and(|known| known.stamp != file.stamp);
        self.0.iter().filter(differs).map(|(uri, _)| uri.clone()).collect()
    }
}

/// A walk through a directory.
struct Found<'a> {
    name: &'a str,
    root: &'a Path,
    files: BTreeMap<String, File>,
    problems: Vec<String>,
}

impl Found<'_> {
    /// Reads the directory and those in it, without recursion.
    fn walk(&mut self) {
        let mut directories = vec![(self.root.to_owned(), 0)];
        while let Some((directory, depth)) = directories.pop() {
            let paths = match list(&directory) {
                Ok(paths) => paths,
                Err(error) => {
                    self.problems.push(format!("{} cannot be read: {error}", directory.display()));
                    continue;
                }
            };
            for path in paths {
                // Does not follow symbolic links.
                let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
                if metadata.is_dir() && depth < DEPTH {
                    directories.push((path, depth + 1));
                } else if metadata.is_file() {
                    self.add(path, &metadata);
                }
                if self.files.len() > FILES {
                    self.problems.push(format!("{} has more than {FILES} files", self.root.display()));
                    return;
                }
            }
        }
    }

    fn add(&mut self, path: PathBuf, metadata: &fs::Metadata) {
        let Ok(relative) = path.strip_prefix(self.root).map(Path::to_owned) else { return };
        // A name that is not UTF-8 cannot be shown to clients.
        let Some(parts) = relative.iter().map(|part| part.to_str()).collect::<Option<Vec<_>>>() else { return };
        let uri = format!(
            "resource://{}/{}",
            self.name,
            parts.iter().map(|part| escaped(part)).collect::<Vec<_>>().join("/")
        );
        let media_type = media_type::of(&path);
        let mut listed = json!({ "uri": uri, "name": parts.join("/"), "size": metadata.len() });
        if let Some(media_type) = media_type {
            listed["mimeType"] = media_type.into();
        }
        match Entry::read(Kind::Resource, &listed.to_string()) {
            Ok(entry) => {
                let stamp = (metadata.modified().ok(), metadata.len());
                self.files.insert(uri, File { relative, path, media_type, stamp, entry });
            }
            Err(error) => self.problems.push(format!("{}: {error}", path.display())),
        }
    }
}

/// Reads a file: text if it is UTF-8, and otherwise Base64.
fn read(uri: &str, directory: &Path, relative: &Path, media_type: Option<&str>) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    open_below(directory, relative)?.take(RESOURCE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > RESOURCE {
        return Ok(Answer::Failed(format!("{uri} is larger than {RESOURCE} bytes")));
    }
    let mut contents = match String::from_utf8(bytes) {
        Ok(text) => json!({ "uri": uri, "mimeType": media_type.unwrap_or("text/plain"), "text": text }),
        Err(error) => {
            let mut blob = Growing::unlimited();
            // The buffer grows, so writing cannot fail.
            let _ = attache_core::json::encode_base64(error.as_bytes(), &mut blob);
            let blob = String::from_utf8_lossy(&blob.bytes).into_owned();
            json!({ "uri": uri, "mimeType": media_type.unwrap_or("application/octet-stream"), "blob": blob })
        }
    };
    let result = json!({ "contents": [contents.take()] });
    RawValue::from_string(result.to_string()).map(Answer::Result).map_err(io::Error::other)
}

/// The answer for a resource that was there a moment ago.
fn missing(call: &Call) -> Answer {
    // MCP 2026-07-28 server/resources: -32602 with the URI; -32002 before.
    let code = if call.version().is_modern() { -32602 } else { -32002 };
    let data = RawValue::from_string(json!({ "uri": call.name() }).to_string()).ok();
    Answer::Error { code, message: "Resource not found".to_owned(), data }
}

/// Escapes a text for a part of a URI (RFC 3986 §2.3: unreserved characters stay).
fn escaped(text: &str) -> String {
    let part = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(part).collect()
}
