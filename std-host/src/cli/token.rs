//! Tokens, looked at by whoever runs the server.

use super::config::Fault;
use super::{Problem, Settings, auth, text, url};
use clap::{Args, Subcommand};
use std::io::{self, Read};
use std::path::PathBuf;

/// Looks at access tokens as the server would.
#[derive(Args, Debug)]
pub(super) struct Token {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read a token and say, rule by rule, what would become of it; fails if its holder would be kept out.
    ///
    /// The token comes on standard input or in a file: as a flag, every user of the machine would see it.
    Explain(Explain),
}

#[derive(Args, Debug)]
struct Explain {
    /// The file with the token; standard input without it.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// The path of the server whose rules are asked; the first one without it.
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
        let config = self.settings.layers()?.config().map_err(Problem::Config)?;
        let fault = |what: String| Problem::Config(Fault::of(what));
        let endpoint = auth::endpoint(&config.servers, self.server.as_deref()).map_err(Problem::Config)?;
        let url = url(config.listen.address(), &endpoint.path, config.tls.as_ref());
        let tokens = auth::tokens(&endpoint.protection, &url).map_err(Problem::Config)?;
        let tokens = tokens.ok_or_else(|| fault(format!("{} asks for no tokens: set auth.issuer", endpoint.path)))?;
        let token = self.token().map_err(|error| fault(format!("the token cannot be read: {error}")))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Problem::Runtime)?;
        let explained = runtime.block_on(tokens.explain(token.trim()));
        println!("{explained}");
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

/// Bytes of a token that are read: more than any server takes in a head.
const MOST: u64 = 1 << 20;
