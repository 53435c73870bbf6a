//! `attache functions new`: writes a small function app to begin with.

use crate::fault::Fault;
use crate::print::print;
use crate::problem::Problem;
use clap::Args;
use std::path::{Path, PathBuf};

/// Write a small function app to begin with: one tool, one resource and one prompt
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("language").required(true))]
pub(super) struct New {
    /// In Python (v2 programming model)
    #[arg(long, group = "language")]
    python: bool,

    /// In TypeScript (v4 programming model)
    #[arg(long, group = "language")]
    typescript: bool,

    /// Directory to make; it must be missing or empty
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// A file of an app, with its text.
type File = (&'static str, &'static str);

const COMMON: &[File] =
    &[("host.json", include_str!("common/host.json")), (".vscode/mcp.json", include_str!("common/mcp.json"))];

const PYTHON: &[File] = &[
    ("function_app.py", include_str!("python/function_app.py")),
    ("requirements.txt", include_str!("python/requirements.txt")),
    ("local.settings.json", include_str!("python/local.settings.json")),
    (".funcignore", include_str!("python/funcignore")),
    (".gitignore", include_str!("python/gitignore")),
];

const TYPESCRIPT: &[File] = &[
    ("src/functions/hello.ts", include_str!("typescript/hello.ts")),
    ("package.json", include_str!("typescript/package.json")),
    ("tsconfig.json", include_str!("typescript/tsconfig.json")),
    ("local.settings.json", include_str!("typescript/local.settings.json")),
    (".funcignore", include_str!("typescript/funcignore")),
    (".gitignore", include_str!("typescript/gitignore")),
];

const PYTHON_STEPS: &str = "python3 -m venv .venv\n  .venv/bin/pip install -r requirements.txt";
const TYPESCRIPT_STEPS: &str = "npm install\n  npm run build";

impl New {
    pub(super) fn run(self) -> Result<(), Problem> {
        let directory = &self.directory;
        let (files, steps) = if self.python { (PYTHON, PYTHON_STEPS) } else { (TYPESCRIPT, TYPESCRIPT_STEPS) };
        if directory.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Fault::of(format!("{} is not empty: name another directory", directory.display())).into());
        }
        for (file, text) in COMMON.iter().chain(files) {
            write(&directory.join(file), text)?;
        }
        print(&format!(
            "A function app is in {0}. To run it:\n  cd {0}\n  {steps}\n  attache functions .\nThen, in another terminal:\n  \
             attache call http://127.0.0.1:7071/runtime/webhooks/mcp hello '{{\"name\":\"Ada\"}}'\n",
            directory.display()
        ))
    }
}

fn write(file: &Path, text: &str) -> Result<(), Fault> {
    let parent = file.parent().unwrap_or(Path::new("."));
    let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(file, text));
    written.map_err(|error| Fault::of(format!("{}: cannot be written: {error}", file.display())))
}
