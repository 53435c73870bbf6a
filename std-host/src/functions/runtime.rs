//! The language of an app, and the worker that runs it.

use super::custom;
use super::process::Launch;
use super::settings::{AppSettings, HostFile, InvalidApp, object};
use super::start::fresh_id;
use crate::children::Supervision;
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

/// The command that starts the worker of an app.
pub(super) struct Runtime {
    pub(super) language: Language,
    pub(super) launch: Launch,
    /// Whether the app is a custom handler, which speaks HTTP; with its port, if the app sets one.
    pub(super) custom: Option<Option<u16>>,
    /// The number of worker processes to start if no setting has it.
    pub(super) processes: usize,
    /// Holds the files of our own worker.
    pub(super) _files: Option<WorkerFiles>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    Node,
    DotNet,
    Java,
    PowerShell,
    Custom,
}

impl Language {
    const fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
            Self::DotNet => "dotnet-isolated",
            Self::Java => "java",
            Self::PowerShell => "powershell",
            Self::Custom => "custom",
        }
    }

    fn named(name: &str) -> Option<Self> {
        let all = [Self::Python, Self::Node, Self::DotNet, Self::Java, Self::PowerShell];
        all.into_iter().find(|language| language.name().eq_ignore_ascii_case(name))
    }

    /// Finds the language of the app in a directory: by a setting, else by its files.
    fn of(directory: &Path, settings: &AppSettings) -> Result<Self, InvalidApp> {
        if let Some(named) = settings.text("FUNCTIONS_WORKER_RUNTIME") {
            return Self::named(&named).ok_or_else(|| InvalidApp::NoWorker {
                language: named,
                what: "FUNCTIONS_WORKER_RUNTIME must be python, node, dotnet-isolated, java or powershell".to_owned(),
            });
        }
        Self::by_files(directory).ok_or_else(|| InvalidApp::NoApp(directory.to_owned()))
    }

    fn by_files(directory: &Path) -> Option<Self> {
        let has = |file: &str| directory.join(file).is_file();
        [("function_app.py", Self::Python), ("package.json", Self::Node), ("worker.config.json", Self::DotNet)]
            .into_iter()
            .find_map(|(file, language)| has(file).then_some(language))
    }
}

/// Returns the language of an app as `FUNCTIONS_WORKER_RUNTIME` names it: by that setting, else by the files of the app.
pub fn worker_runtime(directory: &Path, settings: &AppSettings) -> Option<String> {
    let set = settings.text("FUNCTIONS_WORKER_RUNTIME");
    set.or_else(|| Language::by_files(directory).map(|language| language.name().to_owned()))
}

/// The settings of the operator about workers.
#[derive(Clone, Debug, Default)]
pub(super) struct Choices {
    /// The directory of an official worker.
    pub(super) worker: Option<PathBuf>,
    /// Further environment variables.
    pub(super) environment: Vec<(OsString, OsString)>,
    /// The supervision of the worker processes.
    pub(super) supervision: Option<Supervision>,
}

impl Runtime {
    /// Finds the worker for an app.
    pub(super) fn find(
        directory: &Path,
        host: &HostFile,
        settings: &AppSettings,
        choices: &Choices,
    ) -> Result<Self, InvalidApp> {
        if let Some(custom) = &host.custom {
            let environment = environment(directory, directory, Language::Custom.name(), settings, choices);
            let launch = custom::launch(directory, custom, settings, environment);
            let launch = Launch { supervision: choices.supervision.clone(), ..launch };
            return Ok(Self {
                language: Language::Custom,
                launch,
                custom: Some(custom.port),
                processes: 1,
                _files: None,
            });
        }
        let language = Language::of(directory, settings)?;
        let folder = match language {
            // The worker of a .NET app is the app itself.
            Language::DotNet => Some(directory.to_owned()),
            _ => official(language, settings, choices),
        };
        let (program, arguments, worker, files) = match (folder, language) {
            (Some(folder), _) => {
                let (program, arguments) = of_config(language, directory, &folder, settings)?;
                (program, arguments, folder, None)
            }
            (None, Language::Python) => {
                let files = WorkerFiles::write("worker.py", PYTHON_WORKER)?;
                (python(directory, settings), vec![files.file.clone().into()], files.directory.clone(), Some(files))
            }
            (None, Language::Node) => {
                let files = WorkerFiles::write("worker.js", NODE_WORKER)?;
                (node(settings), vec![files.file.clone().into()], files.directory.clone(), Some(files))
            }
            (None, _) => return Err(no_official(language, settings)),
        };
        let is_official_python = language == Language::Python && files.is_none();
        let environment = environment(directory, &worker, language.name(), settings, choices);
        let launch = Launch {
            program,
            arguments,
            environment,
            directory: directory.to_owned(),
            worker_directory: worker,
            supervision: choices.supervision.clone(),
            ..Launch::default()
        };
        // The library runs plain functions of the official worker on its event loop, where each blocks all others.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let processes = if is_official_python { cores.min(4) } else { 1 };
        Ok(Self { language, launch, custom: None, processes, _files: files })
    }
}

const PYTHON_WORKER: &str = include_str!("workers/worker.py");
const NODE_WORKER: &str = include_str!("workers/worker.js");

/// The interpreter of a Python app: that of a setting, of its virtual environment, or of `PATH`.
fn python(directory: &Path, settings: &AppSettings) -> OsString {
    if let Some(program) = settings.get("languageWorkers__python__defaultExecutablePath") {
        return program;
    }
    let bin = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
    let active = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from);
    let environments = [".venv", "venv", "env"].map(|name| directory.join(name)).into_iter().chain(active);
    let found = environments.map(|environment| environment.join(bin)).find(|program| program.is_file());
    found.map_or_else(|| "python3".into(), PathBuf::into_os_string)
}

fn node(settings: &AppSettings) -> OsString {
    settings.get("languageWorkers__node__defaultExecutablePath").unwrap_or_else(|| "node".into())
}

/// The folders where an official worker may be.
fn folders(language: Language, settings: &AppSettings) -> Vec<PathBuf> {
    let name = language.name();
    let mut folders = Vec::new();
    folders.extend(settings.get(&format!("languageWorkers__{name}__workerDirectory")).map(PathBuf::from));
    let below = |folder: OsString| PathBuf::from(folder).join(name);
    folders.extend(settings.get("languageWorkers__workersDirectory").map(below));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let tools = std::env::split_paths(&path).map(|folder| folder.join("func")).find(|tool| tool.is_file());
    if let Some(tool) = tools.and_then(|tool| tool.canonicalize().ok()) {
        // npm: lib/main.js beside bin/workers; other packages: workers beside the program.
        for near in [tool.parent(), tool.parent().and_then(Path::parent)].into_iter().flatten() {
            folders.extend(["workers", "bin/workers"].map(|workers| near.join(workers).join(name)));
        }
    }
    folders.extend(
        ["/usr/lib/azure-functions-core-tools-4/workers", "/azure-functions-host/workers"]
            .map(|workers| Path::new(workers).join(name)),
    );
    folders
}

/// The folder of an official worker, if there is one.
fn official(language: Language, settings: &AppSettings, choices: &Choices) -> Option<PathBuf> {
    if let Some(worker) = &choices.worker {
        return Some(worker.clone());
    }
    folders(language, settings).into_iter().find(|folder| folder.join(CONFIG).is_file())
}

const CONFIG: &str = "worker.config.json";

fn no_official(language: Language, settings: &AppSettings) -> InvalidApp {
    let looked: Vec<_> = folders(language, settings).iter().map(|folder| folder.display().to_string()).collect();
    InvalidApp::NoWorker {
        language: language.name().to_owned(),
        what: format!(
            "it needs the platform's own worker, and none is in {}. Name its folder with --worker",
            looked.join(", ")
        ),
    }
}

/// The command of an official worker, by its `worker.config.json`.
fn of_config(
    language: Language,
    directory: &Path,
    folder: &Path,
    settings: &AppSettings,
) -> Result<(OsString, Vec<OsString>), InvalidApp> {
    let file = folder.join(CONFIG);
    let malformed = |what: &str| InvalidApp::Malformed { file: file.clone(), what: what.to_owned() };
    let root = object(&file)?.ok_or_else(|| malformed("is missing: the folder is not that of a worker"))?;
    let description =
        root.get("description").and_then(Value::as_object).ok_or_else(|| malformed("description is missing"))?;
    let text = |key: &str| description.get(key).and_then(Value::as_str).unwrap_or_default();
    if !text("language").eq_ignore_ascii_case(language.name()) {
        return Err(malformed(&format!(
            "is a worker for {:?}, and the app is a {} app",
            text("language"),
            language.name()
        )));
    }
    let name = language.name();
    let version = settings.text("FUNCTIONS_WORKER_RUNTIME_VERSION").or_else(|| match language {
        Language::Python => version_of(&python(directory, settings)),
        _ => None,
    });
    let version = version.unwrap_or_else(|| text("defaultRuntimeVersion").to_owned());
    let filled = |text: &str| {
        let text = text.replace("%FUNCTIONS_WORKER_RUNTIME_VERSION%", &version).replace("{os}", OS);
        let text = text.replace("{architecture}", ARCHITECTURE);
        settings.expand(&text.replace("{workerDirectoryPath}", &folder.to_string_lossy()))
    };
    let root = "{WorkerRoot}";
    let program = match settings.get(&format!("languageWorkers__{name}__defaultExecutablePath")) {
        Some(program) => program,
        None if language == Language::Python => python(directory, settings),
        None => filled(text("defaultExecutablePath")).replace(root, &format!("{}/", folder.display())).into(),
    };
    let own = description.get("arguments").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let further = settings.text(&format!("languageWorkers__{name}__arguments"));
    // One entry may hold several words.
    let words = own
        .map(filled)
        .chain(further)
        .flat_map(|entry| entry.split_ascii_whitespace().map(OsString::from).collect::<Vec<_>>());
    let mut arguments: Vec<OsString> = words.collect();
    let worker = filled(text("defaultWorkerPath"));
    if !worker.is_empty() {
        let worker = folder.join(worker);
        if !worker.is_file() {
            return Err(malformed(&format!("defaultWorkerPath: there is no file {}", worker.display())));
        }
        if language == Language::Python {
            arguments.extend([OsString::from("-c"), PYTHON_LAUNCHER.into()]);
        }
        arguments.push(worker.into());
    }
    Ok((program, arguments))
}

/// Runs the official Python worker, which would survive the death of its host, and ends it with its input.
const PYTHON_LAUNCHER: &str = "\
import os, runpy, sys, threading
def wait():
    while os.read(0, 4096):
        pass
    os._exit(0)
threading.Thread(target=wait, daemon=True).start()
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name='__main__')";

/// The version of an interpreter, such as `3.12`.
fn version_of(program: &OsStr) -> Option<String> {
    let script = "import sys; print('%d.%d' % sys.version_info[:2])";
    let output = std::process::Command::new(program).args(["-c", script]).output().ok()?;
    String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

const OS: &str = if cfg!(windows) {
    "WINDOWS"
} else if cfg!(target_os = "macos") {
    "OSX"
} else {
    "LINUX"
};
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") {
    "Arm64"
} else if cfg!(target_arch = "x86") {
    "X86"
} else {
    "X64"
};

/// The variables that a worker inherits. An app gets no others of this process, because they may hold its secrets.
const INHERITED: [&str; 17] = [
    "HOME",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "USER",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "VIRTUAL_ENV",
    "PYTHONPATH",
    "NODE_ENV",
    "NODE_OPTIONS",
    "NODE_PATH",
    "SystemRoot",
    "DOTNET_ROOT",
];

/// Prefixes of variables that configure a function app.
const PREFIXES: [&str; 5] = ["AzureWebJobs", "AzureFunctionsJobHost__", "FUNCTIONS_", "languageWorkers__", "PYTHON_"];

/// Variables that make the Python worker look for its files where they are on the platform.
const REMOVED: [&str; 3] = ["CONTAINER_NAME", "WEBSITE_INSTANCE_ID", "WEBSITE_PLACEHOLDER_MODE"];

/// The environment of a worker.
fn environment(
    directory: &Path,
    worker: &Path,
    language: &str,
    settings: &AppSettings,
    choices: &Choices,
) -> Vec<(OsString, OsString)> {
    let mut variables = std::collections::BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if INHERITED.contains(&&*text) || PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            variables.insert(name, value);
        }
    }
    for name in settings.names() {
        variables.extend(settings.get(name).map(|value| (name.into(), value)));
    }
    let packages = directory.join(".python_packages/lib/site-packages");
    let may_be_python = [Language::Python, Language::Custom].iter().any(|own| own.name() == language);
    if may_be_python && packages.is_dir() {
        let before = variables.remove(OsStr::new("PYTHONPATH"));
        let paths = before.iter().flat_map(std::env::split_paths).chain([packages]);
        variables.extend(std::env::join_paths(paths).ok().map(|paths| ("PYTHONPATH".into(), paths)));
    }
    let mut set = |name: &str, value: &OsStr| drop(variables.insert(name.into(), value.to_owned()));
    set("FUNCTIONS_WORKER_DIRECTORY", worker.as_os_str());
    set("FUNCTIONS_APPLICATION_DIRECTORY", directory.as_os_str());
    // FunctionRpc: without it, the Python worker does not find the app.
    set("AzureWebJobsScriptRoot", directory.as_os_str());
    set("FUNCTIONS_WORKER_RUNTIME", OsStr::new(language));
    for (name, value) in [("AZURE_FUNCTIONS_ENVIRONMENT", "Development"), ("PYTHON_THREADPOOL_THREAD_COUNT", "1000")] {
        variables.entry(name.into()).or_insert_with(|| value.into());
    }
    variables.extend(choices.environment.iter().cloned());
    REMOVED.iter().for_each(|name| drop(variables.remove(OsStr::new(name))));
    variables.into_iter().collect()
}

/// A private directory with the file of our own worker. Dropping it removes the directory.
pub(super) struct WorkerFiles {
    directory: PathBuf,
    file: PathBuf,
}

impl WorkerFiles {
    fn write(name: &str, text: &str) -> Result<Self, InvalidApp> {
        let directory = std::env::temp_dir().join(format!("attache-{}", fresh_id()));
        let file = directory.join(name);
        let write = || -> io::Result<()> {
            private_directory(&directory)?;
            std::fs::write(&file, text)
        };
        match write() {
            Ok(()) => Ok(Self { directory, file }),
            Err(error) => Err(InvalidApp::Unreadable { file, error }),
        }
    }
}

impl Drop for WorkerFiles {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Makes a directory that only its owner can enter. Fails if it exists.
fn private_directory(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
