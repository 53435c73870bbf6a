//! The files of an app that a package takes, and those that it leaves out.

use super::ignore::Ignored;
use crate::fault::Fault;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The files of an app, sorted by their path in the package.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) taken: Vec<Taken>,
    /// Paths that were left out, each with the reason. The files of a directory that was left out are not listed.
    pub(super) left: Vec<(String, &'static str)>,
}

/// A file that a package takes.
#[derive(Debug)]
pub(super) struct Taken {
    /// The path in the package, with slashes.
    pub(super) path: String,
    pub(super) file: PathBuf,
    pub(super) size: u64,
    pub(super) is_executable: bool,
}

/// Files other than secrets that a package leaves out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaves<'l> {
    /// Whether the packages of Node.js are installed where the app runs.
    pub(super) node_modules: bool,
    /// The file or directory that the command writes.
    pub(super) output: &'l Path,
}

/// Most files of a package. The zip format of most readers has this limit.
pub(super) const MOST: usize = 65_534;

/// Bytes at the beginning of a file in which a secret is looked for.
const LOOKED_AT: u64 = 64 * 1024;

impl Files {
    /// Finds the files of an app.
    pub(super) fn of(directory: &Path, leaves: Leaves<'_>) -> Result<Self, Fault> {
        let mut files = Self::default();
        let walk = Walk { root: directory, ignored: Ignored::read(directory)?, leaves };
        let mut directories = vec![String::new()];
        while let Some(relative) = directories.pop() {
            walk.look(&relative, &mut directories, &mut files)?;
        }
        files.taken.sort_by(|one, other| one.path.cmp(&other.path));
        files.left.sort();
        Ok(files)
    }

    /// Whether the package has a file.
    pub(super) fn has(&self, path: &str) -> bool {
        self.taken.iter().any(|taken| taken.path == path)
    }

    /// The list for the operator: directories with their number of files, files of the root, and what was left out.
    pub(super) fn describe(&self) -> String {
        let mut lines: BTreeMap<String, (usize, u64)> = BTreeMap::new();
        for Taken { path, size, .. } in &self.taken {
            let key = path.split_once('/').map_or_else(|| path.clone(), |(first, _)| format!("{first}/"));
            let (files, bytes) = lines.entry(key).or_default();
            *files += 1;
            *bytes += size;
        }
        let mut text = format!("Taken: {} files\n", self.taken.len());
        for (path, (files, bytes)) in lines {
            let number = if path.ends_with('/') { format!(" in {files} files") } else { String::new() };
            text.push_str(&format!("  {path} ({bytes} bytes{number})\n"));
        }
        if !self.left.is_empty() {
            text.push_str("Left out:\n");
        }
        for (path, reason) in &self.left {
            text.push_str(&format!("  {path}: {reason}\n"));
        }
        text
    }
}

struct Walk<'w> {
    root: &'w Path,
    ignored: Ignored,
    leaves: Leaves<'w>,
}

impl Walk<'_> {
    /// Takes the files of a directory, and adds its directories.
    fn look(&self, relative: &str, directories: &mut Vec<String>, files: &mut Files) -> Result<(), Fault> {
        let here = self.root.join(relative);
        let unreadable = |path: &Path, error| Fault::of(format!("{}: cannot be read: {error}", path.display()));
        for entry in fs::read_dir(&here).map_err(|error| unreadable(&here, error))? {
            let file = entry.map_err(|error| unreadable(&here, error))?.path();
            let Some(name) = file.file_name().and_then(|name| name.to_str()) else {
                return Err(Fault::of(format!("{}: the name is not UTF-8, and cannot be packaged", file.display())));
            };
            let path = if relative.is_empty() { name.to_owned() } else { format!("{relative}/{name}") };
            let whole = match file.canonicalize() {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    files.left.push((path, "a link that leads nowhere"));
                    continue;
                }
                whole => whole.map_err(|error| unreadable(&file, error))?,
            };
            let metadata = fs::metadata(&whole).map_err(|error| unreadable(&file, error))?;
            if let Some(reason) = self.reason(&path, name, &whole, &metadata)? {
                files.left.push((if metadata.is_dir() { format!("{path}/") } else { path }, reason));
            } else if metadata.is_dir() {
                directories.push(path);
            } else {
                let is_executable = is_executable(&metadata);
                files.taken.push(Taken { path, file: whole, size: metadata.len(), is_executable });
            }
            if files.taken.len() > MOST {
                return Err(Fault::of(format!(
                    "the app has more than {MOST} files: name those that it does not need in .funcignore"
                )));
            }
        }
        Ok(())
    }

    /// Why an entry is left out.
    fn reason(
        &self,
        path: &str,
        name: &str,
        whole: &Path,
        metadata: &fs::Metadata,
    ) -> Result<Option<&'static str>, Fault> {
        let is_directory = metadata.is_dir();
        if let Some(reason) = secret_name(name) {
            return Ok(Some(reason));
        }
        if !whole.starts_with(self.root) {
            return Ok(Some("a link that leads outside of the app"));
        }
        if whole == self.leaves.output {
            return Ok(Some("the package itself"));
        }
        if self.ignored.has(path, is_directory) {
            return Ok(Some("named in .funcignore"));
        }
        if is_directory {
            let is_environment = whole.join("pyvenv.cfg").is_file();
            let is_link = fs::symlink_metadata(self.root.join(path)).is_ok_and(|entry| entry.is_symlink());
            return Ok(match name {
                _ if is_environment => Some("a virtual environment, which works only where it was made"),
                _ if is_link => Some("a link to another directory of the app"),
                "__pycache__" => Some("compiled again where the app runs"),
                "node_modules" if self.leaves.node_modules => Some("installed when the image is built"),
                _ => None,
            });
        }
        if !metadata.is_file() {
            return Ok(Some("not a file"));
        }
        let unreadable = |error| Fault::of(format!("{path}: cannot be read: {error}"));
        let mut begin = Vec::new();
        let opened = fs::File::open(whole).map_err(unreadable)?;
        opened.take(LOOKED_AT).read_to_end(&mut begin).map_err(unreadable)?;
        Ok(secret_content(&begin))
    }
}

/// Whether a name is that of a file with secrets.
fn secret_name(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    let has_end = |ends: &[&str]| ends.iter().any(|end| lower.ends_with(end));
    match lower.as_str() {
        "local.settings.json" => Some("settings of this machine, which may be secret"),
        ".git" | ".hg" | ".svn" => Some("the history of the code"),
        "id_rsa" | "id_ecdsa" | "id_ed25519" | ".npmrc" | ".pypirc" | ".netrc" => Some("credentials"),
        ".env" => Some("may be secret"),
        _ if lower.starts_with(".env.") => Some("may be secret"),
        _ if has_end(&[".key", ".pfx", ".p12", ".jks", ".keystore", ".publishsettings"]) => Some("a file of keys"),
        _ => None,
    }
}

/// Whether a content is that of a file with keys.
fn secret_content(begin: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(begin);
    if text.contains("PRIVATE KEY-----") {
        return Some("it has a private key");
    }
    let is_hexadecimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    // A file of `attache key` has a name and a digest on each line.
    let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).peekable();
    let is_entry =
        |line: &str| line.split(' ').nth(1).is_some_and(|digest| digest.len() == 64 && is_hexadecimal(digest));
    if lines.peek().is_some() && lines.all(is_entry) {
        return Some("a file of keys");
    }
    let value = |rest: &str| rest.get(..64).is_some_and(is_hexadecimal);
    text.split("attache_").skip(1).any(value).then_some("it has a key of this program")
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names_and_contents() {
        for name in
            [".env", ".env.production", ".ENV.local", "Local.Settings.json", ".git", "server.key", "a.pfx", "id_rsa"]
        {
            assert!(secret_name(name).is_some(), "{name}");
        }
        for name in ["env.py", ".envrc.md", "keys.py", "keynote.txt", ".gitkeep", "settings.json"] {
            assert_eq!(secret_name(name), None, "{name}");
        }
        let digest = "0123456789abcdef".repeat(4);
        for content in [
            "-----BEGIN EC PRIVATE KEY-----\nx".to_owned(),
            format!("ops {digest}\nmcp_extension {digest} system\n"),
            format!("KEY = \"attache_{digest}01234567\"\n"),
        ] {
            assert!(secret_content(content.as_bytes()).is_some(), "{content}");
        }
        for content in
            [format!("{digest}  file.zip\n"), "import os\n".to_owned(), String::new(), "attache_host".to_owned()]
        {
            assert_eq!(secret_content(content.as_bytes()), None, "{content}");
        }
    }
}
