//! `attache package functions`: a zip for the function platform.

use super::app;
use super::files::{Files, Leaves, Taken};
use super::settings::App;
use crate::fault::Fault;
use crate::print::{complain, print};
use crate::problem::Problem;
use clap::Args;
use miniz_oxide::deflate::compress_to_vec;
use rawzip::{CompressionMethod, ZipArchiveWriter};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Write the zip from which a function platform runs the app
///
/// The same files give the same bytes. Packages that the app needs have to be in DIR (node_modules,
/// .python_packages/lib/site-packages) unless the platform installs them when it deploys the zip.
#[derive(Args, Debug)]
pub(super) struct Zip {
    /// Directory of the function app
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// File to write; by default NAME.zip in the working directory, with the name of DIR
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The level of compression, of 10.
const LEVEL: u8 = 6;

impl Zip {
    pub(super) fn run(&self) -> Result<(), Problem> {
        let (directory, name) = app(&self.directory)?;
        let output = self.output.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.zip")));
        let settings = App::read(&directory)?;
        let own = output.canonicalize().unwrap_or_else(|_| output.clone());
        let files = Files::of(&directory, Leaves { node_modules: false, output: &own })?;
        if let Some(handler) = settings.handler.as_deref().filter(|handler| is_missing(&files, handler)) {
            complain(&format!("warning: the package has no {handler}, which customHandler of host.json starts"));
        }
        let written = write(&files, settings.handler.as_deref()).and_then(|zip| replace(&output, &zip));
        written.map_err(|error| Fault::of(format!("{}: cannot be written: {error}", output.display())))?;
        print(&format!("{}{}Wrote {}\n", files.describe(), settings.for_platform(&directory), output.display()))
    }
}

/// Whether a handler should be in the package and is not. A name without a suffix or a slash may be a program of the
/// platform, such as `node`.
fn is_missing(files: &Files, handler: &str) -> bool {
    let is_of_platform = ["node", "python", "python3", "dotnet", "java"].contains(&handler);
    !is_of_platform && !files.has(handler.trim_start_matches("./"))
}

/// Writes the files, sorted and without times, so that the same files give the same bytes.
fn write(files: &Files, handler: Option<&str>) -> std::io::Result<Vec<u8>> {
    let handler = handler.map(|handler| handler.trim_start_matches("./"));
    let mut archive = ZipArchiveWriter::new(Vec::new());
    for Taken { path, file, is_executable, .. } in &files.taken {
        let content = fs::read(file)?;
        // azure.md B.7: the handler needs mode 0755 in the zip, which file systems without modes lose.
        let is_executable = *is_executable || handler == Some(path);
        let mode = 0o100_000 | if is_executable { 0o755 } else { 0o644 };
        let entry = archive.new_file(path).compression_method(CompressionMethod::DEFLATE).unix_permissions(mode);
        let (mut entry, config) = entry.start().map_err(std::io::Error::other)?;
        let mut writer = config.wrap(Deflated::new(&mut entry));
        writer.write_all(&content)?;
        let (deflated, descriptor) = writer.finish().map_err(std::io::Error::other)?;
        deflated.end()?;
        entry.finish(descriptor).map_err(std::io::Error::other)?;
    }
    archive.finish().map_err(std::io::Error::other)
}

/// Collects a file, and writes it compressed.
struct Deflated<W> {
    content: Vec<u8>,
    output: W,
}

impl<W: Write> Deflated<W> {
    const fn new(output: W) -> Self {
        Self { content: Vec::new(), output }
    }

    fn end(mut self) -> std::io::Result<()> {
        self.output.write_all(&compress_to_vec(&self.content, LEVEL))
    }
}

impl<W: Write> Write for Deflated<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.content.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Replaces a file at once, so that a reader never finds a part of it.
fn replace(file: &Path, content: &[u8]) -> std::io::Result<()> {
    let fresh = file.with_extension("zip.part");
    fs::write(&fresh, content)?;
    fs::rename(&fresh, file)
}
