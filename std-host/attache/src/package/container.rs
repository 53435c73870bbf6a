//! `attache package container`: a directory from which an image is built that runs the app.

use super::app;
use super::files::{Files, Leaves};
use super::settings::App;
use crate::fault::Fault;
use crate::print::{complain, print};
use crate::problem::Problem;
use clap::Args;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Write a directory from which podman or docker builds an image that runs the app, without a platform
///
/// The directory has the app, this program, and a Containerfile with the official base image of the app's interpreter.
/// The image runs as another user than root, and needs no file system that can be written except for /tmp.
#[derive(Args, Debug)]
pub(super) struct Context {
    /// Directory of the function app
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// Directory to make, which must be missing or empty; by default NAME-container in the working directory
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,

    /// The program to put into the image, if not this one: a static binary for Linux runs on every base image
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

impl Context {
    pub(super) fn run(&self) -> Result<(), Problem> {
        let (directory, name) = app(&self.directory)?;
        let output = self.output.clone().unwrap_or_else(|| PathBuf::from(format!("{name}-container")));
        let settings = App::read(&directory)?;
        let image = Image::of(&directory, &settings)?;
        if output.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Fault::of(format!("{} is not empty: name another directory", output.display())).into());
        }
        let program = match &self.program {
            Some(program) => program.clone(),
            None => {
                std::env::current_exe().map_err(|error| Fault::of(format!("this program is not found: {error}")))?
            }
        };
        let failed = |error: io::Error| Fault::of(format!("{}: cannot be written: {error}", output.display()));
        fs::create_dir_all(&output).map_err(failed)?;
        let own = output.canonicalize().map_err(failed)?;
        let files = Files::of(&directory, Leaves { node_modules: true, output: &own })?;
        let containerfile = image.containerfile(&files, &settings);
        write(&output, &files, &program, &containerfile).map_err(failed)?;
        if !is_static(&program) {
            complain(&format!(
                "warning: {} is not a static binary, and runs only on images with its libraries: name one with --program",
                program.display()
            ));
        }
        let own = settings.own();
        let own = if own.is_empty() { own } else { format!("Variables to set with -e:\n{own}") };
        print(&format!(
            "{}{own}Wrote {1}. To build and run the image:\n{2}",
            files.describe(),
            output.display(),
            run(&name, &output, &settings)
        ))
    }
}

/// The commands that build and run the image.
fn run(name: &str, output: &Path, settings: &App) -> String {
    let tag: String =
        name.to_ascii_lowercase().chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '-' }).collect();
    let build = format!("  podman build -t {tag} {}\n", output.display());
    if settings.is_anonymous {
        return format!(
            "{build}  podman run --rm --read-only --tmpfs /tmp --cap-drop=all -p 8080:8080 -e ATTACHE_AUTH_REQUIRE=anonymous {tag}\n"
        );
    }
    format!(
        "  attache key add mcp_extension --level system --keys-file keys\n{build}  podman secret create keys ./keys\n  \
         podman run --rm --read-only --tmpfs /tmp --cap-drop=all -p 8080:8080 --secret keys,uid=65534,mode=0400 \\\n    \
         -e ATTACHE_AUTH_KEYS_FILE=/run/secrets/keys {tag}\n"
    )
}

/// The base image of an app.
#[derive(Debug)]
enum Image {
    Python(String),
    Node,
    DotNet(String),
    Handler,
}

impl Image {
    fn of(directory: &Path, app: &App) -> Result<Self, Fault> {
        match app.language.to_ascii_lowercase().as_str() {
            "python" => Ok(Self::Python(python_version(directory).unwrap_or_else(|| "3.13".to_owned()))),
            "node" => Ok(Self::Node),
            "dotnet-isolated" => Ok(Self::DotNet(dotnet_version(directory).unwrap_or_else(|| "8.0".to_owned()))),
            "custom" => Ok(Self::Handler),
            other => Err(Fault::of(format!(
                "a {other} app needs a worker of the platform, so it cannot be packaged by itself: package functions writes a zip for the \
                 platform"
            ))),
        }
    }

    fn base(&self) -> String {
        match self {
            Self::Python(version) => format!("docker.io/library/python:{version}-slim"),
            Self::Node => "docker.io/library/node:22-slim".to_owned(),
            Self::DotNet(version) => format!("mcr.microsoft.com/dotnet/aspnet:{version}"),
            Self::Handler => "docker.io/library/debian:stable-slim".to_owned(),
        }
    }

    /// The steps that install the packages of the app.
    fn install(&self, files: &Files) -> String {
        match self {
            Self::Python(_) if files.has("requirements.txt") && !has_below(files, ".python_packages/") => {
                "RUN pip install --no-cache-dir --target /app/.python_packages/lib/site-packages -r /app/requirements.txt\n".to_owned()
            }
            Self::Node if files.has("package-lock.json") => "RUN cd /app && npm ci --omit=dev --ignore-scripts\n".to_owned(),
            Self::Node => "RUN cd /app && npm install --omit=dev --ignore-scripts\n".to_owned(),
            _ => String::new(),
        }
    }

    fn containerfile(&self, files: &Files, app: &App) -> String {
        let keys =
            if app.is_anonymous { "" } else { "# Clients need the system key mcp_extension: mount a file of keys.\n" };
        format!(
            "# Runs a function app without its platform.\n{keys}FROM {base}\nCOPY app /app\n{install}COPY attache /usr/local/bin/attache\n\
             USER 65534:65534\nENV HOME=/tmp ATTACHE_LISTEN=0.0.0.0:8080 FUNCTIONS_WORKER_RUNTIME={language}\nEXPOSE 8080\n\
             HEALTHCHECK CMD [\"/usr/local/bin/attache\", \"health\"]\n\
             ENTRYPOINT [\"/usr/local/bin/attache\", \"functions\", \"/app\"]\n",
            base = self.base(),
            install = self.install(files),
            language = app.language,
        )
    }
}

fn has_below(files: &Files, directory: &str) -> bool {
    files.taken.iter().any(|taken| taken.path.starts_with(directory))
}

/// The version of the virtual environment of an app, such as `3.12`.
fn python_version(directory: &Path) -> Option<String> {
    let environments = [".venv", "venv", "env"].map(|name| directory.join(name).join("pyvenv.cfg"));
    let text = environments.iter().find_map(|file| fs::read_to_string(file).ok())?;
    let version = text.lines().find_map(|line| line.strip_prefix("version")?.trim_start().strip_prefix('='))?.trim();
    let mut numbers = version.split('.');
    let (major, minor) = (numbers.next()?.parse::<u8>().ok()?, numbers.next()?.parse::<u8>().ok()?);
    Some(format!("{major}.{minor}"))
}

/// The version of the runtime that the build output of a .NET app names, such as `8.0`.
fn dotnet_version(directory: &Path) -> Option<String> {
    let mut entries = directory.read_dir().ok()?.flatten().map(|entry| entry.path());
    let file = entries.find(|file| file.to_string_lossy().ends_with(".runtimeconfig.json"))?;
    let config: serde_json::Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
    let name = config["runtimeOptions"]["tfm"].as_str()?.strip_prefix("net")?;
    name.split('.').all(|number| number.parse::<u8>().is_ok()).then(|| name.to_owned())
}

fn write(output: &Path, files: &Files, program: &Path, containerfile: &str) -> io::Result<()> {
    for taken in &files.taken {
        let to = output.join("app").join(&taken.path);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        // Modes are copied, too.
        fs::copy(&taken.file, to)?;
    }
    fs::copy(program, output.join("attache"))?;
    fs::write(output.join("Containerfile"), containerfile)
}

/// Whether a file is an executable of Linux that needs no loader (elf(5): no program header `PT_INTERP`).
fn is_static(file: &Path) -> bool {
    let Ok(bytes) = fs::read(file) else { return false };
    let number = |at: usize, length: usize| -> Option<usize> {
        let bytes = bytes.get(at..at.checked_add(length)?)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    };
    // The 64-bit class, in little-endian order.
    if !bytes.starts_with(b"\x7fELF\x02\x01") {
        return false;
    }
    let headers = || Some((number(32, 8)?, number(54, 2)?, number(56, 2)?));
    let Some((begin, size, count)) = headers() else { return false };
    const INTERP: usize = 3;
    (0..count).all(|index| number(begin + index * size, 4).is_some_and(|kind| kind != INTERP))
}
