//! The policy of an application's MCP paths: what a caller may name, and which entries of a list it sees.

use super::members::{Members, items};
use super::message::Message;
use crate::auth::Caller;
use crate::policy::{Judged, Needed, Policy};
use crate::proxy::limits::ANNOTATIONS;
use attache_core::auth::{Access, Authenticated, Denied, Need, authorize};
use attache_core::http::Refusal;
use attache_core::tool::Kind;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// A policy, and what the lists of the application have said about its tools.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct McpPolicy {
    policy: Arc<RwLock<Arc<Policy>>>,
    /// Whether each tool is annotated as read-only.
    read_only: Arc<Mutex<HashMap<String, bool>>>,
}

/// Why a message is not passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Forbidden {
    /// The entry does not exist for callers.
    Hidden(Kind, String),
    /// The caller lacks a permission. The scopes are those that a token would need.
    Permission(Refusal, Vec<String>),
}

impl McpPolicy {
    pub(in crate::proxy) fn new(policy: Policy) -> Self {
        Self { policy: Arc::new(RwLock::new(Arc::new(policy))), read_only: Arc::default() }
    }

    pub(in crate::proxy) fn replace(&self, policy: Policy) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    /// The policy at the moment. A request is served by one policy from its beginning to its end.
    pub(super) fn now(&self) -> Now<'_> {
        let policy = Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner));
        Now { policy, of: self }
    }
}

/// The policy of one request.
pub(super) struct Now<'a> {
    policy: Arc<Policy>,
    of: &'a McpPolicy,
}

impl Now<'_> {
    /// Judges a message of a caller.
    pub(super) fn judge(&self, message: &Message<'_>, caller: &Caller) -> Result<(), Forbidden> {
        message.subjects.iter().try_for_each(|(kind, key)| self.judge_one(*kind, key, caller))
    }

    fn judge_one(&self, kind: Kind, key: &str, caller: &Caller) -> Result<(), Forbidden> {
        // The annotation of a tool is known from the lists that have passed.
        let known = self.of.read_only.lock().unwrap_or_else(PoisonError::into_inner);
        let is_read_only = kind == Kind::Tool && known.get(key).copied().unwrap_or_default();
        drop(known);
        let entry = Judged { kind, key, is_read_only, digest: None };
        let needs = self.policy.judge(&entry).map_err(|_| Forbidden::Hidden(kind, key.to_owned()))?;
        permitted(caller, &needs)
    }

    /// Filters an answer of the application: lists lose the entries that the policy hides, and updates of hidden resources are left
    /// out.
    pub(super) fn filtered(&self, json: &str) -> Filtered {
        let Ok(whole) = serde_json::from_str::<&RawValue>(json) else { return Filtered::Unreadable };
        let Some(messages) = items(whole) else { return self.filtered_one(whole) };
        let filtered: Vec<_> = messages.iter().map(|message| (message, self.filtered_one(message))).collect();
        if filtered.iter().any(|(_, one)| matches!(one, Filtered::Unreadable)) {
            return Filtered::Unreadable;
        }
        if filtered.iter().all(|(_, one)| matches!(one, Filtered::Same)) {
            return Filtered::Same;
        }
        let kept = filtered.into_iter().filter_map(|(raw, one)| match one {
            Filtered::Same => Some(raw.get().to_owned()),
            Filtered::Other(text) => Some(text),
            Filtered::Gone | Filtered::Unreadable => None,
        });
        Filtered::Other(format!("[{}]", kept.collect::<Vec<_>>().join(",")))
    }

    fn filtered_one(&self, raw: &RawValue) -> Filtered {
        let Some(message) = Members::of(raw) else { return Filtered::Unreadable };
        let (Ok(method), Ok(result), Ok(params)) =
            (message.text("method"), message.get("result"), message.get("params"))
        else {
            return Filtered::Unreadable;
        };
        if method.as_deref() == Some("notifications/resources/updated") {
            let uri = params.and_then(Members::of).and_then(|params| params.text("uri").ok().flatten());
            return match uri {
                Some(uri) if self.policy.admits_uri(&uri) => Filtered::Same,
                _ => Filtered::Gone,
            };
        }
        let Some(members) = result.and_then(Members::of) else { return Filtered::Same };
        let mut text: Option<String> = None;
        for (list, kind, key) in LISTS {
            match members.get(list) {
                Ok(None) => {}
                Err(_) => return Filtered::Unreadable,
                Ok(Some(entries)) => match self.filtered_list(entries, kind, key) {
                    // A result has one list, and an object in its place has none.
                    Some(kept) if text.is_none() => text = Some(message.with("result", &members.with(list, &kept))),
                    _ => return Filtered::Unreadable,
                },
            }
        }
        text.map_or(Filtered::Same, Filtered::Other)
    }

    /// Returns a list without the entries that the policy hides, or that two parsers may read in two ways.
    fn filtered_list(&self, entries: &RawValue, kind: Kind, key: &str) -> Option<String> {
        let kept = items(entries)?.into_iter().filter(|entry| {
            let Some(members) = Members::of(entry) else { return false };
            let (Ok(Some(name)), Ok(annotations)) = (members.text(key), members.get("annotations")) else {
                return false;
            };
            let hint = annotations.and_then(Members::of).and_then(|all| all.get("readOnlyHint").ok().flatten());
            let is_read_only = kind == Kind::Tool && hint.is_some_and(|hint| hint.get() == "true");
            if kind == Kind::Tool {
                self.learn(&name, is_read_only);
            }
            self.policy.judge(&Judged { kind, key: &name, is_read_only, digest: None }).is_ok()
        });
        Some(format!("[{}]", kept.map(RawValue::get).collect::<Vec<_>>().join(",")))
    }

    fn learn(&self, name: &str, is_read_only: bool) {
        let mut known = self.of.read_only.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < ANNOTATIONS || known.contains_key(name) {
            known.insert(name.to_owned(), is_read_only);
        }
    }
}

/// The lists of results, with the kind of their entries and the member that names an entry.
const LISTS: [(&str, Kind, &str); 4] = [
    ("tools", Kind::Tool, "name"),
    ("prompts", Kind::Prompt, "name"),
    ("resources", Kind::Resource, "uri"),
    ("resourceTemplates", Kind::Template, "uriTemplate"),
];

/// An answer after the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filtered {
    /// It has nothing that a policy filters, and passes as it came.
    Same,
    Other(String),
    /// It is left out.
    Gone,
    /// Two parsers may read it in two ways, or it is not JSON.
    Unreadable,
}

fn need(needed: &Needed) -> Need<'_> {
    match needed {
        Needed::Scope(scope) => Need::Scope(scope),
        Needed::Role(role) => Need::Role(role),
    }
}

/// Whether a caller has the permissions that an entry needs.
fn permitted(caller: &Caller, needs: &[&Needed]) -> Result<(), Forbidden> {
    if needs.is_empty() {
        return Ok(());
    }
    let scopes = || {
        let scopes = needs.iter().filter_map(|need| match need {
            Needed::Scope(scope) => Some(scope.clone()),
            Needed::Role(_) => None,
        });
        scopes.collect()
    };
    // Policies with scopes need a server that accepts tokens, so an anonymous caller is a guest there. Holders of keys need none.
    let checked = |who: &Authenticated<'_>| authorize(who, needs.iter().copied().map(need), |_| None).map(drop);
    let result = match caller.vouched() {
        _ if caller.key_name().is_some() => Ok(()),
        Ok(Some(verified)) => checked(&Authenticated::token(&verified)),
        Ok(None) => checked(&Authenticated::anonymous(&Access::Guest)),
        Err(denied) => Err::<(), Denied<'_>>(denied),
    };
    result.map_err(|denied| Forbidden::Permission(Refusal::from(denied), scopes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(policy: Policy, json: &str) -> Filtered {
        McpPolicy::new(policy).now().filtered(json)
    }

    #[test]
    fn list_loses_hidden_entries_and_what_is_not_a_list_stays_as_it_is() {
        let policy = || Policy::new().deny(["b*", "at://b/*"]);
        for (json, expected) in [
            (
                r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","x":1.0},{"name":"b"}],"nextCursor":"c"}}"#,
                Filtered::Other(
                    r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","x":1.0}],"nextCursor":"c"}}"#.to_owned(),
                ),
            ),
            (
                r#"{"id":1,"result":{"resources":[{"uri":"at://b/c"},{"uri":"at://a"},{"uri":"at://%62/c"}]}}"#,
                Filtered::Other(r#"{"id":1,"result":{"resources":[{"uri":"at://a"}]}}"#.to_owned()),
            ),
            (r#"{"id":1,"result":{"content":[]}}"#, Filtered::Same),
            (r#"{"id":1,"error":{"code":1,"message":"b"}}"#, Filtered::Same),
            (
                r#"[{"id":1,"result":{"tools":[{"name":"b"}]}},{"id":2,"result":{}}]"#,
                Filtered::Other(r#"[{"id":1,"result":{"tools":[]}},{"id":2,"result":{}}]"#.to_owned()),
            ),
            // Entries and results that two parsers may read in two ways.
            (
                r#"{"id":1,"result":{"tools":[{"name":"a","Name":"b"}]}}"#,
                Filtered::Other(r#"{"id":1,"result":{"tools":[]}}"#.to_owned()),
            ),
            (r#"{"id":1,"result":{"tools":[],"Tools":[{"name":"b"}]}}"#, Filtered::Unreadable),
            (r#"{"id":1,"result":{"tools":[]},"result":{"tools":[{"name":"b"}]}}"#, Filtered::Unreadable),
            (r#"{"id":1,"result":{"tools":{}}}"#, Filtered::Unreadable),
            ("not JSON", Filtered::Unreadable),
            (r#"{"method":"notifications/resources/updated","params":{"uri":"at://b/c"}}"#, Filtered::Gone),
            (r#"{"method":"notifications/resources/updated","params":{"uri":"at://a"}}"#, Filtered::Same),
        ] {
            assert_eq!(filtered(policy(), json), expected, "{json}");
        }
    }

    #[test]
    fn read_only_believes_the_annotation_of_the_newest_list() {
        let policy = McpPolicy::new(Policy::new().read_only());
        let call = |name: &str| {
            let text = format!(r#"{{"id":1,"method":"tools/call","params":{{"name":"{name}"}}}}"#);
            let raw: &RawValue = serde_json::from_str(&text).expect("JSON");
            let message = Message::read(raw).map_err(|(_, unfit)| unfit).expect("a message");
            policy.now().judge(&message, &Caller::guest()).is_ok()
        };
        assert!(!call("a"), "nothing is known yet");
        for (hint, allowed) in [("true", true), ("false", false)] {
            let list =
                format!(r#"{{"id":1,"result":{{"tools":[{{"name":"a","annotations":{{"readOnlyHint":{hint}}}}}]}}}}"#);
            policy.now().filtered(&list);
            assert_eq!(call("a"), allowed);
        }
    }
}
