//! The change of the backends of a server to a new configuration.

use super::{Group, Started, clashes};
use crate::config::Backend;
use crate::fault::Faults;
use attache_host::backend::BackendsUpdate;
use attache_host::policy::Policy;

/// The change of one server to a new configuration.
pub(super) struct Change {
    pub(super) old: Group,
    pub(super) server: Policy,
    /// All backends of the new configuration, with their policies.
    pub(super) now: Vec<(Started, Policy)>,
    /// Those of them that were started for it.
    pub(super) fresh: Vec<Started>,
    pub(super) removed: Vec<Started>,
}

impl Change {
    pub(super) fn update(&self) -> BackendsUpdate<'_> {
        BackendsUpdate {
            server: self.server.clone(),
            policies: self.now.iter().map(|(started, policy)| (&started.publisher, policy.clone())).collect(),
            removed: self.removed.iter().map(|started| &started.publisher).collect(),
        }
    }

    /// Finds the names of new backends that other entries have.
    pub(super) fn check(&self, faults: &mut Faults) {
        let conflicts = self.old.handle.conflicts(&self.update());
        for ((started, _), taken) in self.now.iter().zip(conflicts) {
            let is_fresh = self.fresh.iter().any(|fresh| fresh.config.name == started.config.name);
            if is_fresh {
                clashes(started, taken, faults);
            }
        }
    }
}

/// The backends that a reload has changed, by name.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    pub(crate) added: Vec<String>,
    pub(crate) replaced: Vec<String>,
    pub(crate) removed: Vec<String>,
}

impl Changed {
    pub(super) fn add(&mut self, change: &Change) {
        let has = |all: &[Started], name: &str| all.iter().any(|started| started.config.name == name);
        for Started { config: Backend { name, .. }, .. } in &change.fresh {
            match has(&change.removed, name) {
                true => self.replaced.push(name.clone()),
                false => self.added.push(name.clone()),
            }
        }
        let names = change.removed.iter().map(|started| &started.config.name);
        self.removed.extend(names.filter(|name| !has(&change.fresh, name)).cloned());
    }
}
