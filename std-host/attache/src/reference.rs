//! `attache completions` and `attache man`: descriptions of the command line for shells and for
//! `man`. Packages write them to files.

use super::Cli;
use super::print::print;
use super::problem::Problem;
use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::Shell;
use std::io;

/// Print a completion script for a shell
///
/// bash: attache completions bash > /etc/bash_completion.d/attache
/// zsh:  attache completions zsh > /usr/local/share/zsh/site-functions/_attache
/// fish: attache completions fish > ~/.config/fish/completions/attache.fish
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct Completions {
    shell: Supported,
}

/// The shells with a script that is tested.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Supported {
    Bash,
    Zsh,
    Fish,
}

impl Completions {
    pub(super) fn run(&self) -> Result<(), Problem> {
        let shell = match self.shell {
            Supported::Bash => Shell::Bash,
            Supported::Zsh => Shell::Zsh,
            Supported::Fish => Shell::Fish,
        };
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "attache", &mut script);
        print(&String::from_utf8_lossy(&script))
    }
}

/// Print the manual page, or that of one command
///
/// attache man serve > /usr/local/share/man/man1/attache-serve.1
#[derive(Args, Debug)]
pub(super) struct Man {
    /// Command to describe, such as serve
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

impl Man {
    pub(super) fn run(&self) -> Result<(), Problem> {
        let mut program = Cli::command();
        program.build();
        let described = match &self.command {
            None => Some(program),
            Some(name) => program.find_subcommand(name).cloned().map(|command| command.name(format!("attache-{name}"))),
        };
        let Some(described) = described else {
            return Err(
                super::fault::Fault::of("there is no such command: attache --help lists them".to_owned()).into()
            );
        };
        let mut page = Vec::new();
        let written: io::Result<()> = clap_mangen::Man::new(described).render(&mut page);
        written.map_err(Problem::Stdio)?;
        print(&String::from_utf8_lossy(&page))
    }
}
