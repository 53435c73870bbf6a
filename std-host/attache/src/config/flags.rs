//! The settings as flags of the command line.

use super::settings::{self, Kind, Setting};
use clap::{Arg, ArgAction, ArgMatches};

/// The flags of the command line, with their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags(pub(super) Vec<(&'static Setting, Vec<String>)>);

impl clap::Args for Flags {
    fn augment_args(command: clap::Command) -> clap::Command {
        settings::shown().fold(command, |command, setting| command.arg(flag(setting)))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

fn flag(setting: &'static Setting) -> Arg {
    let mut places = vec![format!("env: {}", setting.variable()), format!("key: {}", setting.key)];
    if !setting.default.is_empty() {
        places.insert(0, format!("default: {}", setting.default));
    }
    let arg = Arg::new(setting.key)
        .long(setting.flag())
        .visible_aliases(setting.alias)
        .value_name(setting.kind.name())
        .action(if matches!(setting.kind, Kind::List(_)) { ArgAction::Append } else { ArgAction::Set })
        .help(setting.short_help())
        .long_help(format!("{}\n[{}]", setting.help, places.join(", ")))
        .help_heading(setting.heading())
        .hide_short_help(!setting.is_basic);
    match setting.kind {
        // Behind a space, a command could have its directory or URL.
        Kind::Switch if setting.key == "watch" => {
            arg.num_args(0..=1).require_equals(true).default_missing_value("true")
        }
        Kind::Switch => arg.num_args(0..=1).default_missing_value("true"),
        _ => arg,
    }
}

impl clap::FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given =
            |setting: &'static Setting| Some((setting, matches.get_many::<String>(setting.key)?.cloned().collect()));
        Ok(Self(settings::shown().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
