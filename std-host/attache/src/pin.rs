//! `attache pin`: accepts the definitions of backends as they are now.

use super::config::{BackendId, Config, Definitions};
use super::fault::Fault;
use super::print::print;
use super::problem::Problem;
use super::settings::Settings;
use super::survey::survey;
use clap::Args;
use std::collections::BTreeMap;

/// Accept what the backends offer now: write the digest of each definition to attache.pins
///
/// Starts or asks each backend of the configuration once. While attache.pins exists, tools, prompts and resources of backends are offered
/// only as they were when they were pinned. Send SIGHUP to a running program afterwards.
#[derive(Args, Debug)]
#[command(after_help = AFTER)]
pub(super) struct Pin {
    /// Write nothing; print the differences, and exit with 1 if there are any
    #[arg(long)]
    check: bool,

    /// Pin only these backends; the pins of others stay as they are
    #[arg(value_name = "BACKEND")]
    names: Vec<String>,

    #[command(flatten)]
    settings: Settings,
}

const AFTER: &str = "\
Examples:
  attache pin                 # accept everything
  attache pin crm             # accept what the backend crm offers
  attache pin --check         # tell what has changed since it was accepted";

impl Pin {
    pub(super) fn run(&self) -> Result<(), Problem> {
        let config = self.settings.layers()?.config_to_pin(!self.names.is_empty())?;
        let known: Vec<_> = config.servers.iter().flat_map(|server| &server.backends).collect();
        if known.is_empty() {
            return Err(Fault::of("there is no [[server.backend]] to pin".to_owned()).into());
        }
        if let Some(unknown) = self.names.iter().find(|name| known.iter().all(|backend| backend.name != **name)) {
            return Err(Fault::of(format!("there is no backend {unknown:?}")).into());
        }
        let is_meant = |(_, name): &BackendId| self.names.is_empty() || self.names.contains(name);
        let mut pinned = BTreeMap::new();
        for endpoint in &config.servers {
            for backend in &endpoint.backends {
                let id = (endpoint.path().to_owned(), backend.name.clone());
                if !is_meant(&id) {
                    let before = config.pins.definitions(&id.0, &id.1);
                    pinned.insert(id, before);
                }
            }
        }
        pin(&config, is_meant, pinned, self.check)
    }
}

/// Pins what the backends of the command line offer, and keeps the other pins of the file.
pub(super) fn pin_all(config: &Config) -> Result<(), Problem> {
    pin(config, |_| true, config.pins.all().clone(), false)
}

/// Connects the backends, and pins what those offer that are meant. `pinned` has the pins to keep.
fn pin(
    config: &Config,
    is_meant: impl Fn(&BackendId) -> bool,
    mut pinned: BTreeMap<BackendId, Definitions>,
    only_checks: bool,
) -> Result<(), Problem> {
    let mut file = config.pins.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Problem::Runtime)?;
    let surveyed = runtime.block_on(survey(config));
    let mut has_differences = false;
    for backend in surveyed.into_iter().filter(|backend| is_meant(&backend.id)) {
        let (server, name) = &backend.id;
        let before = file.definitions(server, name);
        let offered = backend.offered.map_err(|reason| {
            let what = "cannot be connected, so nothing was written";
            Problem::Pins(format!("backend {name:?} of {server} {what}: {reason}"))
        })?;
        for difference in differences(&before, &offered.definitions) {
            has_differences = true;
            print(&format!("backend {name:?} of {server}: {difference}\n"))?;
        }
        pinned.insert(backend.id, offered.definitions);
    }
    let path = file.path.display().to_string();
    if only_checks {
        return match has_differences {
            true => Err(Problem::Pins(format!("{path} differs from what the backends offer"))),
            false => print("The backends offer what was pinned\n"),
        };
    }
    let (entries, backends) = (pinned.values().map(Definitions::len).sum::<usize>(), pinned.len());
    file.write(pinned).map_err(|error| Problem::Pins(format!("{path} cannot be written: {error}")))?;
    let plural = |count: usize, one: &'static str, more: &'static str| if count == 1 { one } else { more };
    let (of_entries, of_backends) = (plural(entries, "entry", "entries"), plural(backends, "backend", "backends"));
    print(&format!("Pinned {entries} {of_entries} of {backends} {of_backends} in {path}\n"))
}

/// Returns a text for each entry that is new, changed or gone.
fn differences(before: &Definitions, now: &Definitions) -> Vec<String> {
    let fresh = now.iter().filter_map(|((kind, key), digest)| match before.get(&(*kind, key.clone())) {
        None => Some(format!("new {kind} {key}")),
        Some(known) if known != digest => Some(format!("changed {kind} {key}")),
        Some(_) => None,
    });
    let gone = before.keys().filter(|id| !now.contains_key(*id)).map(|(kind, key)| format!("gone {kind} {key}"));
    fresh.chain(gone).collect()
}
