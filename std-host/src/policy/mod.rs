//! Policies: which tools, prompts, resources and templates a server offers, and which scopes and
//! roles they require.
//!
//! One [`Policy`] applies to everything that names an entry: lists, calls, prompts, reads,
//! completions, subscriptions and notifications of updates. An entry that the policy hides does not
//! exist for callers.
//!
//! ```
//! use attache_host::policy::Policy;
//! use attache_host::{Ctx, NoArgs, Server};
//!
//! let policy = Policy::new().deny(["delete_*"]).scope("write_*", "notes.write");
//! let server = Server::new("notes", "1")
//!     .policy(policy)
//!     .tool("write_note", "Write a note", |_: NoArgs, _: Ctx| async { "written" });
//! ```
//!
//! Patterns match the names that clients see, with the prefix of the backend, and the URIs of
//! resources. URIs are compared after normalization (RFC 3986 §6.2.2). A URI that servers read in
//! different ways, such as `file:///a/..%2Fb`, is allowed only if each of the readings is.

mod pattern;
mod pins;
mod problem;
mod uri;

pub use pins::{Digest, Pins};
pub use problem::PolicyProblem;

use attache_core::tool::Kind;
use core::fmt;
use pattern::{Pattern, Subject};
use pins::Pinned;
use std::sync::Arc;
use uri::Readings;

/// The rules for the entries of a server, or for those of one backend.
///
/// Without rules, all entries are offered. `deny` takes precedence over `allow`.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Policy {
    /// `None` allows everything. An empty list allows nothing.
    allow: Option<Vec<Pattern>>,
    deny: Vec<Pattern>,
    needs: Vec<(Pattern, Needed)>,
    is_read_only: bool,
    pins: Option<Arc<Pins>>,
}

/// A scope or a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Needed {
    Scope(String),
    Role(String),
}

/// An entry that a policy judges.
pub(crate) struct Judged<'a> {
    pub(crate) kind: Kind,
    /// The name, URI or template that clients see.
    pub(crate) key: &'a str,
    /// Whether the annotations of a tool say that it is read-only.
    pub(crate) is_read_only: bool,
    /// The digest of the definition. `None` for an entry of the program itself, which needs no pin.
    pub(crate) digest: Option<Digest>,
}

/// The reason why an entry is not offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HiddenBy {
    /// No pattern of `allow` matches.
    Allow,
    /// A pattern of `deny` matches.
    Deny,
    /// The policy is read-only, and the tool is not annotated so.
    ReadOnly,
    /// The definition differs from the pinned one.
    Changed,
    /// The entry has no pin.
    Unpinned,
}

impl fmt::Display for HiddenBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "no pattern of allow matches",
            Self::Deny => "a pattern of deny matches",
            Self::ReadOnly => "read_only, and the tool is not annotated with readOnlyHint",
            Self::Changed => "the definition has changed since it was pinned",
            Self::Unpinned => "the entry is new and not pinned",
        })
    }
}

impl Policy {
    /// Creates a policy that offers everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers only entries that one of these patterns matches. A second call adds patterns. An empty
    /// list allows nothing.
    pub fn allow<T: Into<String>>(mut self, patterns: impl IntoIterator<Item = T>) -> Self {
        self.allow.get_or_insert_default().extend(parsed(patterns));
        self
    }

    /// Hides entries that one of these patterns matches.
    pub fn deny<T: Into<String>>(mut self, patterns: impl IntoIterator<Item = T>) -> Self {
        self.deny.extend(parsed(patterns));
        self
    }

    /// Requires a scope of the caller's token for entries that the pattern matches. A template
    /// requires the scopes of all patterns that match one of its URIs.
    pub fn scope(mut self, pattern: impl Into<String>, scope: impl Into<String>) -> Self {
        self.needs.push((Pattern::new(pattern.into()), Needed::Scope(scope.into())));
        self
    }

    /// Requires a role of the caller's token, like [`scope`](Self::scope).
    pub fn role(mut self, pattern: impl Into<String>, role: impl Into<String>) -> Self {
        self.needs.push((Pattern::new(pattern.into()), Needed::Role(role.into())));
        self
    }

    /// Offers only tools that are annotated with `readOnlyHint`. The annotation is the word of the
    /// server that has the tool; with [`pins`](Self::pins), it is the word that was accepted.
    /// Prompts and resources are not affected.
    pub const fn read_only(mut self) -> Self {
        self.is_read_only = true;
        self
    }

    /// Holds back entries of backends that differ from their pins.
    pub fn pins(mut self, pins: Pins) -> Self {
        self.pins = Some(Arc::new(pins));
        self
    }

    /// Whether the policy requires scopes or roles, which only access tokens have.
    pub const fn needs_tokens(&self) -> bool {
        !self.needs.is_empty()
    }

    /// Returns the permissions that the entry requires.
    ///
    /// # Errors
    /// The reason why the entry is hidden.
    pub(crate) fn judge(&self, entry: &Judged<'_>) -> Result<Vec<&Needed>, HiddenBy> {
        let readings;
        let subject = match entry.kind {
            Kind::Tool | Kind::Prompt => Subject::Name(entry.key),
            Kind::Resource | Kind::Template => {
                readings = Readings::of(entry.key);
                Subject::Uri(&readings)
            }
        };
        self.admit(subject)?;
        if self.is_read_only && entry.kind == Kind::Tool && !entry.is_read_only {
            return Err(HiddenBy::ReadOnly);
        }
        match self.pins.as_ref().zip(entry.digest).map(|(pins, digest)| pins.compare(entry.kind, entry.key, digest)) {
            Some(Pinned::Changed) => return Err(HiddenBy::Changed),
            Some(Pinned::New) => return Err(HiddenBy::Unpinned),
            Some(Pinned::Same) | None => {}
        }
        let is_met = |pattern: &Pattern| {
            pattern.matches_some(subject) || entry.kind == Kind::Template && pattern.meets_template(entry.key)
        };
        Ok(self.needs.iter().filter(|(pattern, _)| is_met(pattern)).map(|(_, needed)| needed).collect())
    }

    fn admit(&self, subject: Subject<'_>) -> Result<(), HiddenBy> {
        if self.deny.iter().any(|pattern| pattern.matches_some(subject)) {
            return Err(HiddenBy::Deny);
        }
        match &self.allow {
            Some(patterns) if !Pattern::match_all(patterns, subject) => Err(HiddenBy::Allow),
            _ => Ok(()),
        }
    }

    /// Whether a URI may be used by callers that have the permissions `granted`. For the URIs of a
    /// template, which the lists do not name.
    pub(crate) fn permits_uri(&self, uri: &str, granted: &[Needed]) -> bool {
        let readings = Readings::of(uri);
        let subject = Subject::Uri(&readings);
        let mut needs = self.needs.iter().filter(|(pattern, _)| pattern.matches_some(subject));
        self.admit(subject).is_ok() && needs.all(|(_, needed)| granted.contains(needed))
    }

    /// Whether a resource with this URI may be offered to some callers.
    pub(crate) fn admits_uri(&self, uri: &str) -> bool {
        self.admit(Subject::Uri(&Readings::of(uri))).is_ok()
    }

    /// Returns the patterns that match none of these entries.
    pub(crate) fn unmatched(&self, entries: &[(Kind, &str)]) -> Vec<String> {
        let is_used = |pattern: &Pattern| {
            entries.iter().any(|(kind, key)| match kind {
                Kind::Tool | Kind::Prompt => pattern.matches_some(Subject::Name(key)),
                Kind::Resource => pattern.matches_some(Subject::Uri(&Readings::of(key))),
                Kind::Template => pattern.matches_some(Subject::Uri(&Readings::of(key))) || pattern.meets_template(key),
            })
        };
        self.patterns().filter(|pattern| !is_used(pattern)).map(|pattern| pattern.text().to_owned()).collect()
    }

    fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        let needs = self.needs.iter().map(|(pattern, _)| pattern);
        self.allow.iter().flatten().chain(&self.deny).chain(needs)
    }
}

fn parsed<T: Into<String>>(patterns: impl IntoIterator<Item = T>) -> impl Iterator<Item = Pattern> {
    patterns.into_iter().map(|pattern| Pattern::new(pattern.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: Kind, key: &str) -> Judged<'_> {
        Judged { kind, key, is_read_only: false, digest: None }
    }

    fn judged(policy: &Policy, kind: Kind, key: &str) -> Result<Vec<Needed>, HiddenBy> {
        policy.judge(&entry(kind, key)).map(|needs| needs.into_iter().cloned().collect())
    }

    #[test]
    fn deny_wins_and_an_empty_list_allows_nothing() {
        let rows: &[(Policy, &str, Option<HiddenBy>)] = &[
            (Policy::new(), "a", None),
            (Policy::new().allow([""; 0]), "a", Some(HiddenBy::Allow)),
            (Policy::new().allow(["a"]), "a", None),
            (Policy::new().allow(["a"]), "b", Some(HiddenBy::Allow)),
            (Policy::new().deny(["a"]), "a", Some(HiddenBy::Deny)),
            (Policy::new().deny(["a"]), "b", None),
            (Policy::new().allow(["*"]).deny(["a"]), "a", Some(HiddenBy::Deny)),
            (Policy::new().deny(["a"]).allow(["a"]), "a", Some(HiddenBy::Deny)),
        ];
        for (policy, key, hidden) in rows {
            for kind in Kind::ALL {
                assert_eq!(judged(policy, kind, key).err(), *hidden, "{policy:?} {key}");
            }
        }
    }

    #[test]
    fn read_only_offers_tools_by_their_annotation_and_everything_else() {
        let policy = Policy::new().read_only();
        assert_eq!(judged(&policy, Kind::Tool, "a"), Err(HiddenBy::ReadOnly));
        assert!(policy.judge(&Judged { is_read_only: true, ..entry(Kind::Tool, "a") }).is_ok());
        for kind in [Kind::Prompt, Kind::Resource, Kind::Template] {
            assert_eq!(judged(&policy, kind, "a"), Ok(vec![]));
        }
    }

    #[test]
    fn uri_is_permitted_if_each_way_to_read_it_is() {
        let policy = Policy::new().allow(["file:///public/*"]).deny(["file:///public/private*"]);
        for (uri, permitted) in [
            ("file:///public/a", true),
            ("FILE:///public/a", true),
            ("file:///public/a%20b", true),
            ("file:///%70ublic/a", true),
            ("file:///secret", false),
            ("file:///public/../secret", false),
            ("file:///public/%2e%2e/secret", false),
            ("file:///public/..%2Fsecret", false),
            ("file:///public/..%252Fsecret", false),
            ("file:///public/..\\secret", false),
            ("file:///public/..;a/secret", false),
            ("file:///public/private", false),
            ("file:///public/%70rivate", false),
            ("file:///public/a/../private", false),
            ("file:///public//private", false),
            ("file:///public/x%2F..%2Fprivate", false),
            ("file:///public/privat%65#a", false),
        ] {
            assert_eq!(policy.permits_uri(uri, &[]), permitted, "{uri}");
            assert_eq!(judged(&policy, Kind::Resource, uri).is_ok(), permitted, "{uri}");
        }
    }

    #[test]
    fn template_needs_the_scopes_of_all_its_uris_and_a_uri_that_needs_others_is_not_permitted() {
        let policy = Policy::new().scope("file:///a/*", "a").role("file:///b/*", "b");
        let scope = Needed::Scope("a".to_owned());
        let role = Needed::Role("b".to_owned());
        let all = vec![scope.clone(), role];
        assert_eq!(judged(&policy, Kind::Template, "file:///{dir}/{name}"), Ok(all.clone()));
        assert_eq!(judged(&policy, Kind::Template, "file:///a/{name}"), Ok(vec![scope.clone()]));
        assert_eq!(judged(&policy, Kind::Template, "file:///c/{name}"), Ok(vec![]));
        for (uri, granted, permitted) in [
            ("file:///a/x", core::slice::from_ref(&scope), true),
            ("file:///a/..%2Fb%2Fx", core::slice::from_ref(&scope), false),
            ("file:///a/..%2Fb%2Fx", all.as_slice(), true),
            ("file:///c/..%2Fa%2Fx", &[], false),
            ("file:///c/x", &[], true),
        ] {
            assert_eq!(policy.permits_uri(uri, granted), permitted, "{uri} {granted:?}");
        }
    }

    #[test]
    fn definition_that_differs_from_its_pin_is_held_back() {
        let (old, new) = (Digest([1; 32]), Digest([2; 32]));
        let pins = || Pins::new().pin(Kind::Tool, "known", old);
        for (pins, key, digest, hidden) in [
            (pins(), "known", old, None),
            (pins(), "known", new, Some(HiddenBy::Changed)),
            (pins(), "other", old, Some(HiddenBy::Unpinned)),
            (pins().pass_new(), "other", old, None),
            (pins().pass_new(), "known", new, Some(HiddenBy::Changed)),
        ] {
            let policy = Policy::new().pins(pins);
            let judged = policy.judge(&Judged { digest: Some(digest), ..entry(Kind::Tool, key) });
            assert_eq!(judged.err(), hidden, "{key}");
            // An entry of another kind has a pin of its own.
            let judged = policy.judge(&Judged { digest: Some(digest), ..entry(Kind::Prompt, "known") });
            assert_eq!(judged.is_ok(), policy.pins.as_ref().is_some_and(|pins| pins.passes_new()));
        }
        assert!(Policy::new().pins(Pins::new()).judge(&entry(Kind::Tool, "own")).is_ok(), "the program's own");
    }
}
