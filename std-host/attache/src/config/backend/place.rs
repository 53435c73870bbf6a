//! The location of a backend, and the checks that find a wrong one before the start.

#[cfg(unix)]
use attache_host::client::SerialPort;
use attache_host::files::{PromptFiles, ResourceFiles, ToolFiles};
use core::fmt;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The location of the server.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Url {
        url: String,
        old_transport: bool,
    },
    Command(Program),
    /// A program that serves HTTP at a URL.
    Served {
        program: Program,
        url: String,
    },
    Tools(PathBuf),
    Prompts(PathBuf),
    Resources(PathBuf),
}

/// A program that is started as a child process.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) words: Vec<OsString>,
    pub(crate) environment: Vec<(String, OsString)>,
    pub(crate) directory: Option<PathBuf>,
}

// The environment may contain secrets.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.words.fmt(f)
    }
}

impl fmt::Display for Place {
    /// Writes the URL, the command or the directory.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |f: &mut fmt::Formatter<'_>, program: &Program| {
            let words: Vec<_> = program.words.iter().map(|word| word.to_string_lossy()).collect();
            f.write_str(&words.join(" "))
        };
        match self {
            Self::Url { url, .. } => f.write_str(url),
            Self::Command(program) => words(f, program),
            Self::Served { program, url } => words(f, program).and_then(|()| write!(f, " at {url}")),
            Self::Tools(directory) | Self::Prompts(directory) | Self::Resources(directory) => {
                write!(f, "{}", directory.display())
            }
        }
    }
}

impl Place {
    /// Returns the variables of the child process, if there is one.
    pub(super) fn environment(&self) -> &[(String, OsString)] {
        match self {
            Self::Command(program) | Self::Served { program, .. } => &program.environment,
            _ => &[],
        }
    }

    /// Checks for faults that would prevent every connection.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            #[cfg(unix)]
            Self::Url { url, .. } if let Some(port) = SerialPort::parse(url) => {
                port.map(drop).map_err(|error| error.to_string())
            }
            Self::Url { url, .. } => check_url(url),
            Self::Command(program) => program.check(),
            Self::Served { program, url } => check_url(&url.replace("{port}", "1"))
                .and_then(|()| program.check_port(url))
                .and_then(|()| program.check()),
            Self::Tools(directory) | Self::Prompts(directory) | Self::Resources(directory) => {
                self.check_files(directory)
            }
        }
    }

    /// Reads the files of a directory once.
    fn check_files(&self, directory: &Path) -> Result<(), String> {
        let checked = match self {
            Self::Tools(_) => ToolFiles::open(directory).map(drop),
            Self::Prompts(_) => PromptFiles::open(directory).map(drop),
            _ => ResourceFiles::open("", directory).map(drop),
        };
        checked.map_err(|error| error.to_string())
    }
}

fn check_url(url: &str) -> Result<(), String> {
    match reqwest::Url::parse(url) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(()),
        _ => Err(format!("{url:?} must be a URL such as http://127.0.0.1:3000/mcp")),
    }
}

impl Program {
    fn check(&self) -> Result<(), String> {
        let Some(program) = self.words.first() else { return Err("command must not be empty".to_owned()) };
        if let Some(directory) = self.directory.as_ref().filter(|directory| !directory.is_dir()) {
            return Err(format!("cwd {} is not a directory: create it, or name another", directory.display()));
        }
        match is_there(Path::new(program), self.directory.as_deref()) {
            true => Ok(()),
            false => {
                Err(format!("there is no program {}: install it, or write its path", Path::new(program).display()))
            }
        }
    }

    /// With `{port}` in the URL, the program has to be told the port.
    fn check_port(&self, url: &str) -> Result<(), String> {
        let has_port = |text: &OsString| text.to_string_lossy().contains("{port}");
        let is_told =
            self.words.iter().skip(1).any(has_port) || self.environment.iter().any(|(_, value)| has_port(value));
        match (url.contains("{port}"), is_told) {
            (true, false) => Err("the url has {port}, so command or env needs {port}, too".to_owned()),
            (false, true) => Err("command or env has {port}, so the url needs {port}, too".to_owned()),
            _ => Ok(()),
        }
    }
}

/// Whether a program can be started: by its path, or from `PATH`.
fn is_there(program: &Path, directory: Option<&Path>) -> bool {
    if program.components().count() > 1 {
        // A relative path is resolved against the working directory of the child.
        return directory.map_or_else(|| program.to_owned(), |directory| directory.join(program)).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
