//! The common builder of tools, prompts and resources: the members that lists show.

use super::add_error::AddError;
use super::changes::{Completion, Offer, Start};
use super::definition::Asked;
use super::handler::Ctx;
use crate::call::{Outcome, Run, Sealer, crashed, fault_of_keys};
use crate::policy::Needed;
use attache_core::era::Version;
use core::future::ready;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The builder of a list entry, with the function that runs its handler.
pub(super) struct Entry {
    offer: Offer,
    listed: Map<String, Value>,
    /// The completions of arguments, by their names.
    completions: Vec<(String, Completion)>,
    /// The first member that breaks a rule of the protocol.
    fault: Option<String>,
}

impl Entry {
    pub(super) fn new(
        key: &str,
        listed: Vec<(&str, Value)>,
        start: impl Fn(Asked<'_>, Ctx, Sealer) -> Run + Send + Sync + 'static,
    ) -> Self {
        Self {
            offer: Offer {
                key: key.into(),
                members: Vec::new(),
                arguments: None,
                mirrors: Vec::new(),
                needs: Vec::new(),
                is_read_only: false,
                digest: None,
                start: starting(start),
                complete: None,
                source: None,
            },
            listed: listed.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            completions: Vec::new(),
            fault: None,
        }
    }

    pub(super) fn key(&self) -> &str {
        &self.offer.key
    }

    /// Records a fault, which is reported when the entry is added.
    pub(super) fn check(&mut self, sound: bool, fault: impl FnOnce(&str) -> String) {
        if !sound && self.fault.is_none() {
            self.fault = Some(fault(&self.offer.key));
        }
    }

    /// Replaces the function that runs the handler.
    pub(super) fn start_with(&mut self, start: impl Fn(Asked<'_>, Ctx, Sealer) -> Run + Send + Sync + 'static) {
        self.offer.start = starting(start);
    }

    /// Wraps the function that runs the handler.
    pub(super) fn wrap_start(&mut self, wrap: impl FnOnce(Start) -> Start) {
        let unset = starting(|_, _, _| Box::pin(ready(crashed(&"a handler is being replaced"))));
        self.offer.start = wrap(core::mem::replace(&mut self.offer.start, unset));
    }

    /// Completes one argument.
    pub(super) fn complete(&mut self, argument: &str, completion: Completion) {
        self.completions.push((argument.to_owned(), completion));
    }

    /// Sets the names of the arguments if no others are allowed.
    pub(super) fn declare(mut self, arguments: Option<Vec<String>>) -> Self {
        self.offer.arguments = arguments;
        self
    }

    /// Returns the names of the arguments if no others are allowed.
    pub(super) fn arguments(&self) -> Option<&[String]> {
        self.offer.arguments.as_deref()
    }

    pub(super) fn get(&self, name: &str) -> &Value {
        &self.listed[name]
    }

    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.listed.insert(name.to_owned(), value);
    }

    /// Changes the value of a member, if the member exists.
    pub(super) fn edit(&mut self, name: &str, edit: impl FnOnce(&mut Value)) {
        self.listed.get_mut(name).map(edit);
    }

    pub(super) fn need(&mut self, need: Needed) {
        self.offer.needs.push(need);
    }

    /// Sets one of the hints in the annotations of a tool.
    pub(super) fn hint(&mut self, name: &str, value: bool) {
        let hints = self.listed.entry("annotations").or_insert_with(|| json!({}));
        hints[name] = value.into();
    }

    pub(super) fn icons(&mut self, icons: Value) {
        self.check(are_icons(&icons), |key| {
            format!("icons of {key:?} must be an array of objects whose src is an https: or a data: URL")
        });
        self.set("icons", icons);
    }

    pub(super) fn meta(&mut self, meta: Value) {
        if let Err(fault) = fault_of_keys(self.key(), &meta) {
            self.check(false, |_| fault);
        }
        self.set("_meta", meta);
    }

    /// Prints the members: those in `first`, then the others. A member in `first` without a value
    /// gets the key.
    ///
    /// # Errors
    /// The first fault of the entry.
    pub(super) fn finish(self, first: &[(&str, Option<String>)]) -> Result<Offer, AddError> {
        let Self { mut offer, listed, completions, fault } = self;
        if let Some(fault) = fault {
            return Err(AddError::Invalid(fault));
        }
        offer.is_read_only = listed.get("annotations").is_some_and(|hints| hints["readOnlyHint"] == true);
        if !completions.is_empty() {
            offer.complete = Some(by_argument(completions));
        }
        let first = first.iter().map(|(name, value)| (*name, Value::from(value.as_deref().unwrap_or(&offer.key))));
        let first: Vec<_> = first.collect();
        let members = first
            .iter()
            .map(|(name, value)| (*name, value))
            .chain(listed.iter().map(|(name, value)| (name.as_str(), value)));
        let of_tool = listed.contains_key("inputSchema");
        let mut groups = BTreeMap::<Version, Vec<String>>::new();
        for (name, value) in members {
            groups
                .entry(since(name, || value["type"] == "object", of_tool))
                .or_default()
                .push(format!("{}:{value}", Value::from(name)));
        }
        offer.members = groups.into_iter().map(|(since, members)| (since, members.join(","))).collect();
        Ok(offer)
    }
}

fn starting(start: impl Fn(Asked<'_>, Ctx, Sealer) -> Run + Send + Sync + 'static) -> Start {
    Box::new(move |asked: Asked<'_>, call, sealer| start(asked, Ctx::of(call), sealer))
}

/// Completes each argument by its own completion. Arguments without one have no completions.
fn by_argument(completions: Vec<(String, Completion)>) -> Completion {
    Completion::new(move |request, call, sealer| {
        match completions.iter().find(|(argument, _)| argument == request.argument()) {
            Some((_, completion)) => completion.run(request, call, sealer),
            None => Box::pin(ready(Outcome::Values(Vec::new()))),
        }
    })
}

/// MCP 2025-11-25 basic/index, "Icons": clients MUST refuse other schemes.
fn are_icons(icons: &Value) -> bool {
    let sources = icons.as_array().map(|icons| icons.iter().map(|icon| icon["src"].as_str().unwrap_or_default()));
    sources.is_some_and(|mut all| all.all(|src| src.starts_with("https://") || src.starts_with("data:")))
}

/// Returns the first revision with this member of an entry. `is_object` tells whether the value is
/// the schema of an object.
pub(crate) fn since(name: &str, is_object: impl FnOnce() -> bool, of_tool: bool) -> Version {
    match name {
        "annotations" if of_tool => Version::V2025_03_26,
        // Before 2026-07-28, a structured result must be an object.
        "outputSchema" if !is_object() => Version::V2026_07_28,
        "outputSchema" | "title" | "_meta" => Version::V2025_06_18,
        "icons" => Version::V2025_11_25,
        _ => Version::V2024_11_05,
    }
}

/// Defines the builder methods that tools, prompts and resources have in common.
macro_rules! listed {
    ($type:ident) => {
        impl $type {
            /// Sets a name for people (`title`).
            #[must_use]
            pub fn title(self, title: &str) -> Self {
                self.member("title", title.into())
            }

            /// Sets `icons` (MCP 2025-11-25 basic/index, "Icons"): an array of objects with `src`
            /// and optional members.
            ///
            /// It cannot be added if a `src` is neither an `https:` nor a `data:` URL, because clients
            /// show no others.
            #[must_use]
            pub fn icons(mut self, icons: serde_json::Value) -> Self {
                self.entry.icons(icons);
                self
            }

            /// Sets `_meta` of the list entry.
            ///
            /// It cannot be added if a key breaks the grammar of keys (MCP 2026-07-28 basic/index), or
            /// has a prefix that is reserved for the protocol.
            #[must_use]
            pub fn meta(mut self, meta: serde_json::Value) -> Self {
                self.entry.meta(meta);
                self
            }

            /// Requires a scope. If the caller's token lacks it, the caller gets 403 with a
            /// challenge that lists the required scopes (MCP basic/authorization, "Scope
            /// Challenge"). If this is called several times, all scopes are required. Applications
            /// that act for themselves have no scopes, so the check does not apply to them; nor
            /// does it apply to anonymous callers and holders of keys. Guests are asked for a
            /// token.
            #[must_use]
            pub fn scope(mut self, scope: &str) -> Self {
                self.entry.need(crate::policy::Needed::Scope(scope.to_owned()));
                self
            }

            /// Requires a role. If the caller's token lacks it, the caller gets 403. The check does
            /// not apply to anonymous callers and holders of keys. Guests are asked for a token.
            #[must_use]
            pub fn role(mut self, role: &str) -> Self {
                self.entry.need(crate::policy::Needed::Role(role.to_owned()));
                self
            }

            fn member(mut self, name: &str, value: serde_json::Value) -> Self {
                self.entry.set(name, value);
                self
            }
        }

        impl core::fmt::Debug for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!($type)).field("key", &self.entry.key()).finish_non_exhaustive()
            }
        }
    };
}

pub(super) use listed;
