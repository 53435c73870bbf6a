//! Sign-in of the client commands, and `attache sign-out`.

use super::failure::{Failure, report};
use super::print::clean;
use attache_host::client::{Credential, Error, SignIn, SignedOut};
use clap::Args;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

/// Delete the tokens of a server that you have signed in to
#[derive(Args, Debug)]
#[command(after_help = "Has the authorization server revoke the tokens, if it can. Exit status: 0 done, 1 failed.")]
pub(crate) struct SignOut {
    /// The URL of the server.
    #[arg(value_name = "URL")]
    url: String,

    #[command(flatten)]
    place: SignInDirectory,
}

#[derive(Args, Debug)]
struct SignInDirectory {
    /// The directory of tokens, which only you can read. Default: ~/.local/state/attache/sign-ins.
    #[arg(long = "sign-in-dir", value_name = "DIR", env = "ATTACHE_SIGN_IN_DIR")]
    directory: Option<PathBuf>,
}

/// The flags for servers that require a sign-in.
#[derive(Args, Debug)]
pub(super) struct SignInFlags {
    /// Sign in in the browser if the server requires it. Tokens are kept and renewed, so later
    /// commands do not need the flag, until `attache sign-out URL`.
    #[arg(long, conflicts_with_all = ["key", "token_file"])]
    sign_in: bool,

    /// Print the URL of the sign-in page, and do not open it.
    #[arg(long, requires = "sign_in")]
    no_browser: bool,

    /// The id of a client that is registered at the authorization server. Without it, the client
    /// registers itself.
    #[arg(long, value_name = "ID", requires = "sign_in")]
    client_id: Option<String>,

    /// The file that holds the secret of that client.
    #[arg(long, value_name = "FILE", requires = "client_id")]
    client_secret_file: Option<PathBuf>,

    /// A scope to request in addition to those that the server asks for. Repeatable.
    #[arg(long = "scope", value_name = "SCOPE", requires = "sign_in")]
    scopes: Vec<String>,

    /// The port of 127.0.0.1 to which the browser returns. Without it, a free one. On a machine
    /// without a browser, forward it: ssh -L PORT:127.0.0.1:PORT.
    #[arg(long, value_name = "PORT", requires = "sign_in", value_parser = clap::value_parser!(u16).range(1..))]
    redirect_port: Option<u16>,

    #[command(flatten)]
    place: SignInDirectory,
}

impl SignInDirectory {
    fn path(&self) -> Option<PathBuf> {
        if let Some(directory) = &self.directory {
            return Some(directory.clone());
        }
        let of = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let state =
            of("XDG_STATE_HOME").or_else(|| of("LOCALAPPDATA")).or_else(|| Some(of("HOME")?.join(".local/state")));
        Some(state?.join("attache").join("sign-ins"))
    }
}

impl SignInFlags {
    /// Returns the source of tokens for a server. `None` if the user has not signed in there, and does not want to.
    pub(super) fn source(&self, url: &str) -> Result<Option<Credential>, Failure> {
        let sign_in = match (SignIn::new("attache", url), self.sign_in) {
            (Ok(sign_in), _) => sign_in,
            // A board in a private network may have no TLS.
            (Err(_), false) => return Ok(None),
            (Err(error), true) => return Err(error.into()),
        };
        let sign_in = match self.place.path() {
            Some(directory) => sign_in.keep_in(&directory),
            None => sign_in,
        };
        if !self.sign_in {
            return Ok(sign_in.is_kept().then(|| Credential::Source(Arc::new(sign_in))));
        }
        let mut sign_in = sign_in.scopes(self.scopes.clone());
        if let Some(id) = &self.client_id {
            let secret = self.client_secret_file.as_deref().map(secret).transpose()?;
            sign_in = sign_in.client(id, secret);
        }
        if let Some(port) = self.redirect_port {
            sign_in = sign_in.redirect_port(port);
        }
        let opens = !self.no_browser;
        let sign_in = sign_in.on_page(move |issuer, page| {
            eprintln!("Sign in at {} on this page:\n{}", clean(issuer), clean(page));
            if opens && !open(page) {
                eprintln!("No browser could be opened: open the page yourself.");
            }
        });
        Ok(Some(Credential::Source(Arc::new(sign_in))))
    }
}

fn secret(file: &Path) -> Result<String, Failure> {
    let text = attache_host::private_file::read("--client-secret-file", file);
    let text = text.map_err(|error| Failure::Usage(error.to_string()))?;
    match text.trim() {
        "" => Err(Failure::Usage(format!("--client-secret-file {} is empty", file.display()))),
        secret => Ok(secret.to_owned()),
    }
}

/// Opens a page in the browser. The URL is one argument, and no shell reads it. Returns whether a program was started.
fn open(page: &str) -> bool {
    let (program, arguments): (&str, &[&str]) = if cfg!(target_os = "macos") {
        ("open", &[])
    } else if cfg!(windows) {
        ("rundll32", &["url.dll,FileProtocolHandler"])
    } else {
        ("xdg-open", &[])
    };
    let mut command = Command::new(program);
    command.args(arguments).arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().is_ok()
}

impl SignOut {
    pub(crate) fn run(&self) -> ExitCode {
        match self.outcome() {
            Ok(outcome) => {
                println!("{outcome}");
                ExitCode::SUCCESS
            }
            Err(failure) => report(failure),
        }
    }

    fn outcome(&self) -> Result<&'static str, Failure> {
        let directory =
            self.place.path().ok_or_else(|| Failure::Usage("name the directory: --sign-in-dir".to_owned()))?;
        let sign_in = SignIn::new("attache", &self.url)?.keep_in(&directory);
        let failed = |error: std::io::Error| Failure::Client(Error::Unreachable(error.to_string()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        Ok(match runtime.block_on(sign_in.sign_out())? {
            SignedOut::Revoked => "Signed out. The authorization server has revoked the tokens.",
            SignedOut::NotSignedIn => "You were not signed in.",
            _ => "Signed out. The authorization server has not revoked the tokens: they end by themselves.",
        })
    }
}
