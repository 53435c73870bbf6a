//! The settings of a backend that is a child process.

use super::environment::environment;
use super::place::Place;
use crate::config::value::{size, time};
use attache_host::bridge::limits::{BACK_OFF_FIRST, BACK_OFF_MOST, Times};
use attache_host::bridge::{Bridge, Per};
use attache_host::children::{Caps, Supervision};
use attache_host::client::{ClientLimits, ServerCommand};
use core::time::Duration;
use std::collections::BTreeMap;
use std::ffi::OsString;
use toml::de::DeValue;

/// The settings of a child process.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Children {
    per: Per,
    /// The variables of each caller's child, by the name of the caller.
    callers: BTreeMap<String, Vec<(String, OsString)>>,
    idle: Option<Duration>,
    most: Option<usize>,
    caps: Caps,
    back_off: Option<Duration>,
    back_off_most: Option<Duration>,
    check_every: Option<Duration>,
    /// The keys that were written.
    keys: Vec<String>,
}

pub(super) const KEYS: [&str; 10] =
    ["per", "callers", "idle", "children", "memory", "cpu", "processes", "back_off", "back_off_most", "check_every"];

/// The settings that tools of a directory have as well.
const OF_TOOLS: [&str; 3] = ["memory", "cpu", "processes"];

impl Children {
    pub(super) fn take(&mut self, key: &str, value: &DeValue<'_>) -> Result<(), String> {
        self.keys.push(key.to_owned());
        match key {
            "per" => self.per = per(value)?,
            "callers" => self.callers = callers(value)?,
            "idle" => self.idle = Some(duration(key, value)?),
            "children" => self.most = Some(count(key, value)?),
            "memory" => self.caps = self.caps.clone().memory(bytes(key, value)?),
            "cpu" => self.caps = self.caps.clone().cpu(cores(key, value)?),
            "processes" => self.caps = self.caps.clone().processes(count(key, value)?),
            "back_off" => self.back_off = Some(duration(key, value)?),
            "back_off_most" => self.back_off_most = Some(duration(key, value)?),
            _ => self.check_every = Some(duration(key, value)?),
        }
        Ok(())
    }

    /// Sets a value of the command line.
    pub(crate) fn flag(&mut self, key: &str, text: &str) -> Result<(), String> {
        self.take(key, &DeValue::String(text.into()))
    }

    /// Refuses settings that the place has no use for.
    pub(crate) fn check(&self, place: &Place) -> Result<(), String> {
        let has_use = |key: &str| match place {
            Place::Command(_) => true,
            Place::Served { .. } => !matches!(key, "per" | "callers"),
            Place::Url { .. } => matches!(key, "children" | "back_off" | "back_off_most" | "check_every"),
            Place::Tools(_) => OF_TOOLS.contains(&key),
            Place::Prompts(_) | Place::Resources(_) => false,
        };
        if let Some(key) = self.keys.iter().find(|key| !has_use(key)) {
            return Err(format!("{key} has no use here: it is a setting of {}", users(key)));
        }
        let has_caps = self.keys.iter().any(|key| OF_TOOLS.contains(&&**key));
        if has_caps && !cfg!(target_os = "linux") {
            return Err(format!("{} are watched through /proc, which only Linux has", OF_TOOLS.join(", ")));
        }
        if !self.callers.is_empty() && self.per != Per::Caller {
            return Err("callers needs per = \"caller\"".to_owned());
        }
        Ok(())
    }

    /// Whether settings are written that are not limits of the process.
    pub(in crate::config) fn has_more_than_caps(&self) -> bool {
        self.keys.iter().any(|key| !OF_TOOLS.contains(&&**key))
    }

    pub(super) fn caps(&self) -> Caps {
        self.caps.clone()
    }

    /// Returns the variables of the children of callers.
    pub(super) fn environments(&self) -> impl Iterator<Item = &(String, OsString)> {
        self.callers.values().flatten()
    }

    /// Applies the settings of a child to its command.
    pub(super) fn limited(&self, command: ServerCommand, supervision: &Supervision) -> ServerCommand {
        command.caps(self.caps.clone()).supervision(supervision)
    }

    /// Applies the other settings to a bridge.
    pub(super) fn bridged(&self, bridge: Bridge) -> Bridge {
        let mut times = Times::default().idle(self.idle);
        let mut bridge = bridge.per(self.per);
        let (first, most) = (self.back_off.unwrap_or(BACK_OFF_FIRST), self.back_off_most.unwrap_or(BACK_OFF_MOST));
        times = times.back_off(first, most.max(first));
        if let Some(every) = self.check_every {
            times = times.check_every(every);
            // A server that is silent for twice the time is dead, as with the default times.
            bridge = bridge.limits(ClientLimits::default().request_time(every * 2));
        }
        if let Some(most) = self.most {
            bridge = bridge.most_sessions(most);
        }
        for (caller, variables) in &self.callers {
            let variables = variables.iter().map(|(name, value)| (name.into(), value.clone())).collect();
            bridge = bridge.caller(caller, variables);
        }
        bridge.times(times)
    }
}

fn users(key: &str) -> &'static str {
    match key {
        "per" | "callers" => "a command without a url",
        "idle" => "a command",
        "children" | "back_off" | "back_off_most" | "check_every" => "a command or a url",
        _ => "a command or tools_dir",
    }
}

fn per(value: &DeValue<'_>) -> Result<Per, String> {
    match value.as_str() {
        Some("process") => Ok(Per::Process),
        Some("session") => Ok(Per::Session),
        Some("caller") => Ok(Per::Caller),
        _ => Err("per must be process, session or caller".to_owned()),
    }
}

fn callers(value: &DeValue<'_>) -> Result<BTreeMap<String, Vec<(String, OsString)>>, String> {
    const WANTED: &str = "callers must be tables such as [server.backend.callers.NAME] with env = { NAME = \"value\" }";
    let DeValue::Table(table) = value else { return Err(WANTED.to_owned()) };
    let caller = |(name, value): (&toml::Spanned<toml::de::DeString<'_>>, &toml::Spanned<DeValue<'_>>)| {
        let DeValue::Table(own) = value.get_ref() else { return Err(WANTED.to_owned()) };
        let mut settings = own.iter();
        match (settings.next(), settings.next()) {
            (Some((key, value)), None) if key.get_ref() == "env" => {
                Ok((name.get_ref().to_string(), environment(value.get_ref())?))
            }
            _ => Err(WANTED.to_owned()),
        }
    };
    table.iter().map(caller).collect()
}

fn duration(key: &str, value: &DeValue<'_>) -> Result<Duration, String> {
    let text = value.as_str().unwrap_or_default();
    // Minutes are also written as `10m`.
    let minutes = text.strip_suffix('m').map(|number| format!("{number}min"));
    let read = time(minutes.as_deref().unwrap_or(text)).filter(|time| !time.is_zero());
    read.ok_or_else(|| format!("{key} must be a time such as 500ms, 30s or 10min"))
}

fn bytes(key: &str, value: &DeValue<'_>) -> Result<u64, String> {
    let text = match value {
        DeValue::Integer(number) => number.as_str().to_owned(),
        _ => value.as_str().unwrap_or_default().to_owned(),
    };
    let read = size(&text).filter(|bytes| *bytes > 0);
    read.map(|bytes| bytes as u64).ok_or_else(|| format!("{key} must be a size such as 512MiB"))
}

fn count(key: &str, value: &DeValue<'_>) -> Result<usize, String> {
    let number = match value {
        DeValue::Integer(number) => number.as_str().parse().ok(),
        DeValue::String(text) => text.parse().ok(),
        _ => None,
    };
    number.filter(|number| *number > 0).ok_or_else(|| format!("{key} must be a number of at least 1"))
}

fn cores(key: &str, value: &DeValue<'_>) -> Result<f64, String> {
    let number: Option<f64> = match value {
        DeValue::Integer(number) => number.as_str().parse().ok(),
        DeValue::Float(number) => number.as_str().parse().ok(),
        DeValue::String(text) => text.parse().ok(),
        _ => None,
    };
    number
        .filter(|cores| cores.is_finite() && *cores > 0.0)
        .ok_or_else(|| format!("{key} must be a number of cores such as 0.5"))
}
