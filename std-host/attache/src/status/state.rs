//! The state of the program as the page shows it.

use super::Status;
use crate::backends::{Group, Started};
use crate::last_reload::Outcome;
use serde_json::{Value, json};
use std::time::UNIX_EPOCH;

impl Status {
    /// Returns the figures, the backends and the last reload.
    pub(super) fn state(&self) -> Value {
        let mut state = self.recent.figures();
        let groups = self.fleet.groups();
        let backends =
            groups.iter().flat_map(|group| group.backends.iter().map(|started| self.backend(group, started)));
        state["backends"] = backends.collect();
        let (all, open) = self.metrics.connections();
        state["connections"] = json!({ "all": all, "open": open });
        state["reload"] = self
            .last_reload
            .outcome()
            .map(|Outcome { at, fault }| {
                let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
                json!({ "at": at.as_secs() * 1000, "fault": fault })
            })
            .into();
        state
    }

    fn backend(&self, group: &Group, started: &Started) -> Value {
        let name = &started.config.name;
        let mut shown = json!({
            "server": group.server,
            "path": group.path,
            "name": name,
            "prefix": started.config.prefix,
            "place": self.filter.text(&started.config.place.to_string()),
            "state": "up",
            "calls": self.recent.of_backend(&group.server, name),
            "entries": started.publisher.definitions().len(),
            "hidden": started.publisher.hidden_by_policy().len(),
        });
        if let Some(status) = started.status() {
            shown["state"] = status.state.as_str().into();
            shown["since"] = status.since.map(|since| since.as_secs()).into();
            shown["revision"] = status.revision.map(|revision| revision.as_str()).into();
            shown["reason"] = status.reason.map(|reason| self.filter.text(&reason)).into();
            shown["restarts"] = status.restarts.into();
            shown["sessions"] = status.sessions.into();
            shown["stderr"] = status.stderr.iter().map(|line| self.filter.text(line)).collect();
        }
        shown
    }
}
