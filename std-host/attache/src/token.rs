//! `attache token`: explains access tokens to the operator.

use super::fault::Fault;
use super::print::print;
use super::problem::Problem;
use super::reach::url;
use super::settings::Settings;
use super::{auth, text};
use clap::{Args, Subcommand};
use std::io::{self, Read};
use std::path::PathBuf;

/// Explain access tokens, by the rules of the server
#[derive(Args, Debug)]
pub(super) struct Token {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a token rule by rule; fails if its holder may not call
    ///
    /// The token comes on standard input or in a file, because flags are visible to every user of
    /// the machine.
    Explain(Explain),
}

#[derive(Args, Debug)]
struct Explain {
    /// File with the token [default: standard input]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Path of the server that has the rules [default: the first server]
    #[arg(long, value_name = "PATH")]
    server: Option<String>,

    #[command(flatten)]
    settings: Settings,
}

impl Token {
    pub(super) fn run(&self) -> Result<(), Problem> {
        let Command::Explain(explain) = &self.command;
        explain.run()
    }
}

impl Explain {
    fn run(&self) -> Result<(), Problem> {
        let config = self.settings.config()?;
        let fault = |what: String| Problem::Config(Fault::of(what));
        let endpoint = auth::endpoint(&config.servers, self.server.as_deref())?;
        let url = url(config.listen.address(), &endpoint.path, config.tls.as_ref());
        let tokens = auth::tokens(&endpoint.protection, &url, None)?;
        let tokens = tokens.ok_or_else(|| fault(format!("{} takes no tokens: set auth.issuer", endpoint.path)))?;
        let token = self.token().map_err(|error| fault(format!("the token cannot be read: {error}")))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Problem::Runtime)?;
        let explained = runtime.block_on(tokens.explain(token.trim()));
        print(&format!("{explained}\n"))?;
        if explained.is_admitted() { Ok(()) } else { Err(Problem::KeptOut) }
    }

    fn token(&self) -> io::Result<String> {
        match &self.token_file {
            Some(file) => text::read(file),
            None => {
                let mut token = String::new();
                io::stdin().take(MOST).read_to_string(&mut token).map(|_| text::without_mark(token))
            }
        }
    }
}

/// Most bytes of a token that are read: more than any server accepts in a head.
const MOST: u64 = 1 << 20;
