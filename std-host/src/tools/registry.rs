//! What a server offers, by number and by name, and how each of it is run.

use super::ask::{Asking, Binding, seal};
use super::changes::Changes;
use super::events::Events;
use super::outcome::{Outcome, Run, crashed};
use super::{Completing, Ctx};
use attache_core::json::Text;
use attache_core::rpc::Code;
use attache_core::seal::Key;
use attache_core::tool::{Arguments, Call, Catalogue, Features, Kind, Member, Mirror, Operation, template};
use bytes::Bytes;
use core::fmt;
use core::future::ready;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// All that a server offers.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    tools: Shelf,
    prompts: Shelf,
    resources: Shelf,
    templates: Shelf,
    completion: Option<Completion>,
    pub(crate) logging: bool,
    pub(crate) subscriptions: bool,
}

/// What there is of one kind, in the order in which it was added.
#[derive(Debug, Default)]
struct Shelf {
    offers: Vec<Offer>,
    numbers: HashMap<String, usize>,
}

/// One tool, prompt, resource or template.
pub(crate) struct Offer {
    /// Its name, URI or template.
    pub(crate) key: String,
    /// What lists print of it: members of a JSON object. Every revision that is served has them all.
    pub(crate) members: String,
    /// The arguments that clients mirror in headers: header and path.
    pub(crate) mirrors: Vec<(String, String)>,
    /// Reads what the call brings and runs the handler.
    pub(crate) start: Start,
}

/// What runs a handler.
pub(crate) type Start = Box<dyn Fn(Asked<'_>, Ctx, Sealer) -> Run + Send + Sync>;

/// What a call brings.
pub(crate) enum Asked<'b> {
    /// The arguments of a tool or a prompt.
    With(Arguments<'b>),
    /// The URI of a resource, and what the variables of its template stand for.
    Uri(String, Vec<(String, String)>),
}

/// Seals what a call leaves with its client.
pub(crate) struct Sealer {
    key: Key,
    binding: Binding,
    asking: Arc<Asking>,
}

impl Sealer {
    pub(super) fn seal(&self) -> Option<String> {
        seal(&self.binding, &self.key, &self.asking.state()?)
    }
}

/// Runs what completes arguments.
pub(crate) struct Completion(pub(crate) Box<dyn Fn(Completing, Ctx) -> Run + Send + Sync>);

impl Registry {
    /// # Panics
    /// If the key is taken.
    pub(crate) fn add(&mut self, kind: Kind, offer: Offer) {
        let shelf = match kind {
            Kind::Tool => &mut self.tools,
            Kind::Prompt => &mut self.prompts,
            Kind::Resource => &mut self.resources,
            Kind::Template => &mut self.templates,
        };
        let taken = shelf.numbers.insert(offer.key.clone(), shelf.offers.len());
        let what = format!("{kind:?}").to_lowercase();
        assert!(taken.is_none(), "there is already a {what} {:?}", offer.key);
        shelf.offers.push(offer);
    }

    pub(crate) fn complete_with(&mut self, completion: Completion) {
        self.completion = Some(completion);
    }

    /// Starts what is called, a call read from `body`; what it tells meanwhile comes out of the receiver.
    pub(crate) fn start(
        &self,
        body: &Bytes,
        call: Call<'_>,
        changes: &Changes,
        key: &Key,
    ) -> (Run, mpsc::Receiver<Bytes>) {
        let (events, told) = Events::new(&call, self.logging);
        let asking = match Asking::of(body, &call, key) {
            Ok(asking) => Arc::new(asking),
            Err(reason) => return (Box::pin(ready(Outcome::Rejected(Code::InvalidParams, reason))), told),
        };
        let sealer = Sealer { key: key.clone(), binding: Binding::of(body, &call), asking: Arc::clone(&asking) };
        let ctx = Ctx::new(call.version(), events, asking, changes.clone());
        let started = match call.operation() {
            Operation::Tool(index) => self.run(Kind::Tool, index, Asked::With(call.arguments()), ctx, sealer),
            Operation::Prompt(index) => self.run(Kind::Prompt, index, Asked::With(call.arguments()), ctx, sealer),
            Operation::Resource(index) => {
                self.run(Kind::Resource, index, Asked::Uri(owned(call.read().uri()), Vec::new()), ctx, sealer)
            }
            Operation::Template(index) => {
                let uri = call.read().uri();
                let template = self.key(Kind::Template, index).unwrap_or_default();
                let variables = template::names(template)
                    .filter_map(|name| Some((name.to_owned(), owned(template::variable(template, uri, name)?))));
                self.run(Kind::Template, index, Asked::Uri(owned(uri), variables.collect()), ctx, sealer)
            }
            Operation::Complete(kind, index) => self.completion.as_ref().map(|completion| {
                let typed = call.completing();
                let reference = self.key(kind, index).unwrap_or_default().to_owned();
                (completion.0)(Completing::new(kind, reference, owned(typed.argument()), owned(typed.value())), ctx)
            }),
        };
        (started.unwrap_or_else(|| Box::pin(ready(crashed(&"a call of something that is not there")))), told)
    }

    fn run(&self, kind: Kind, index: usize, asked: Asked<'_>, ctx: Ctx, sealer: Sealer) -> Option<Run> {
        Some((self.of(kind).offers.get(index)?.start)(asked, ctx, sealer))
    }

    const fn of(&self, kind: Kind) -> &Shelf {
        match kind {
            Kind::Tool => &self.tools,
            Kind::Prompt => &self.prompts,
            Kind::Resource => &self.resources,
            Kind::Template => &self.templates,
        }
    }
}

impl Catalogue for Registry {
    fn len(&self, kind: Kind) -> usize {
        self.of(kind).offers.len()
    }

    fn key(&self, kind: Kind, index: usize) -> Option<&str> {
        Some(&self.of(kind).offers.get(index)?.key)
    }

    fn member(&self, kind: Kind, index: usize, group: usize) -> Option<Member<'_>> {
        let offer = self.of(kind).offers.get(index)?;
        (group == 0).then(|| Member::always(&offer.members))
    }

    fn features(&self) -> Features {
        Features {
            tools: !self.tools.offers.is_empty(),
            prompts: !self.prompts.offers.is_empty(),
            resources: !(self.resources.offers.is_empty() && self.templates.offers.is_empty()),
            completions: self.completion.is_some(),
            logging: self.logging,
            list_changed: self.subscriptions,
            subscribe: self.subscriptions,
        }
    }

    fn mirror(&self, tool: usize, number: usize) -> Option<Mirror<'_>> {
        let (header, path) = self.tools.offers.get(tool)?.mirrors.get(number)?;
        Some(Mirror { header, path })
    }

    fn find(&self, kind: Kind, key: Text<'_>) -> Option<usize> {
        let shelf = self.of(kind);
        match (kind, key.plain()) {
            (Kind::Template, _) => shelf.offers.iter().position(|offer| kind.finds(&offer.key, key)),
            (_, Some(key)) => shelf.numbers.get(key).copied(),
            (_, None) => shelf.numbers.get(&owned(key)).copied(),
        }
    }
}

fn owned(text: Text<'_>) -> String {
    text.chars().collect()
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer").field("key", &self.key).field("members", &self.members).finish_non_exhaustive()
    }
}

impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion").finish_non_exhaustive()
    }
}
