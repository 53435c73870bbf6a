//! The registry of a server's offers, by index and by key, with the functions that run them.

use super::definition::{Asked, Called, Completion, Offer, Source};
use super::name_taken::NameTaken;
use super::shelf::{Policies, Shelf, Shown};
use crate::auth::Caller;
use crate::budget::Permit;
use crate::call::{
    Asking, Binding, CompletionRequest, EventReceiver, Events, Extensions, Failure, Metadata, Outcome, Parking, Run,
    Sealer, SpanIds, Suspended, crashed,
};
use crate::policy::{Digest, HiddenBy, Needed, Policy};
use attache_core::auth::Need;
use attache_core::era::Client;
use attache_core::json::{self, Text};
use attache_core::rpc::Code;
use attache_core::seal::Key;
use attache_core::tool::{Arguments, Call, Catalogue, Features, Kind, Level, Member, Mirror, Operation, template};
use bytes::Bytes;
use core::future::ready;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

/// All offers of a server at one moment. Copies share the closures. Each call gets a `C`, the
/// handle to change the offers.
#[derive(Clone, Debug)]
pub(crate) struct Registry<C> {
    tools: Shelf<C>,
    prompts: Shelf<C>,
    resources: Shelf<C>,
    templates: Shelf<C>,
    completion: Option<Arc<Completion<C>>>,
    /// Whether an entry completes its arguments itself, or once did. The capability stays
    /// declared, because clients cache it.
    completes: bool,
    pub(crate) logging: bool,
    pub(crate) subscriptions: bool,
    pub(crate) extensions: Arc<Extensions>,
    /// Scopes that include others, as pairs of the broad and the included one.
    pub(crate) implied: Vec<(String, String)>,
    policies: Policies,
    instructions: Instructions,
    /// The backends that were added and not removed.
    attached: Vec<Source>,
    /// The names of backends.
    names: Vec<(Source, Arc<str>)>,
    /// Incremented with every change of a list.
    generation: u32,
}

/// The instructions for the model, JSON-escaped.
#[derive(Clone, Debug, Default)]
struct Instructions {
    /// Those of the program, and of each backend.
    each: BTreeMap<Option<Source>, String>,
    /// The backends that are not in use yet, whose instructions are left out.
    staged: Vec<Source>,
    all: String,
}

impl Instructions {
    fn join(&mut self) {
        let is_staged = |source: &Option<Source>| source.is_some_and(|source| self.staged.contains(&source));
        let used = self.each.iter().filter(|(source, _)| !is_staged(source)).map(|(_, text)| text.as_str());
        self.all = used.collect::<Vec<_>>().join(r"\n\n");
    }
}

// Written by hand, because derived implementations would require `C: Default`.
impl<C> Default for Registry<C> {
    fn default() -> Self {
        Self {
            tools: Shelf::default(),
            prompts: Shelf::default(),
            resources: Shelf::default(),
            templates: Shelf::default(),
            completion: None,
            completes: false,
            logging: false,
            subscriptions: false,
            extensions: Arc::default(),
            implied: Vec::new(),
            policies: Policies::default(),
            instructions: Instructions::default(),
            attached: Vec::new(),
            names: Vec::new(),
            generation: 0,
        }
    }
}

/// An entry of a backend that is not offered to callers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HiddenEntry {
    /// The kind of the entry.
    pub kind: Kind,
    /// The name, URI or template that clients would see.
    pub key: String,
    /// The reason.
    pub by: HiddenBy,
    pub(crate) digest: Option<Digest>,
}

/// The values that all calls of a request share: the handle to change the offers, the parked calls,
/// the key that seals, the request extensions that handlers see, and the span of the call.
pub(crate) type Shared<'s, C> = (&'s C, &'s Parking, &'s Key, Option<&'s Arc<http::Extensions>>, Option<SpanIds>);

/// The state of a legacy client's session, which its calls do not repeat.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    /// The name of the session, which no other session has.
    pub(crate) session: [u8; 16],
    pub(crate) client: Client,
    /// The least severe level of log messages that the client wants.
    pub(crate) level: Option<Level>,
}

/// A started call.
pub(crate) struct Started<C> {
    pub(crate) run: Run,
    /// The events that the call sends before its result.
    pub(crate) events: EventReceiver,
    /// Runs the call again, for a legacy client with a known handshake.
    pub(crate) again: Option<Rerun<C>>,
    /// The permit for memory that the call already held when it was parked.
    pub(crate) held: Permit,
}

impl<C> Started<C> {
    /// A call that ends with `outcome` and runs no handler.
    fn ended(outcome: Outcome) -> Self {
        Self { run: Box::pin(ready(outcome)), events: EventReceiver::NONE, again: None, held: Permit::uncounted() }
    }
}

/// The data to run a call once more, with the answers to its questions.
pub(crate) struct Rerun<C> {
    offer: Arc<Offer<C>>,
    kind: Kind,
    /// The URI of a resource, and the values of its template's variables.
    brought: Option<(String, Vec<(String, String)>)>,
    call: Called<C>,
    key: Key,
    binding: Binding,
}

impl<C: Clone> Rerun<C> {
    pub(crate) fn run(&mut self, answers: Map<String, Value>) -> Run {
        let asking = Arc::new(self.call.asking.with(answers));
        self.call.asking = Arc::clone(&asking);
        let sealer = Sealer::new(self.key.clone(), self.binding.clone(), asking);
        let call = self.call.clone();
        match self.brought.clone() {
            Some((uri, variables)) => (self.offer.start)(Asked::Uri(uri, variables), call, sealer),
            None => {
                // The arguments were already parsed as a part of the body.
                let arguments = Arguments::new(json::Value::parse(self.binding.subject()).ok());
                (self.offer.start)(Asked::With(arguments), call, sealer)
            }
        }
    }

    /// Returns the outcome of a call if the client cannot answer.
    pub(crate) fn failed(&self, reason: String) -> Outcome {
        Outcome::of_failure(Failure::User(reason), self.kind == Kind::Tool, || None)
    }
}

impl<C: Clone> Registry<C> {
    /// Adds an offer.
    ///
    /// # Errors
    /// If the key is taken.
    pub(crate) fn add(&mut self, kind: Kind, offer: Offer<C>) -> Result<(), NameTaken> {
        let completes = offer.complete.is_some();
        let policies = core::mem::take(&mut self.policies);
        let added = self.of_mut(kind).add(kind, offer, &policies);
        self.policies = policies;
        added?;
        self.completes |= completes;
        self.generation = self.generation.wrapping_add(1);
        Ok(())
    }

    /// Whether there is no offer, not even one that a policy hides.
    pub(crate) fn is_empty(&self) -> bool {
        Kind::ALL.into_iter().all(|kind| self.of(kind).of(None).next().is_none())
    }

    /// Declares all kinds of entries: a backend may come with any of them after clients have asked what the server offers.
    pub(crate) fn declare_all(&mut self) {
        Kind::ALL.into_iter().for_each(|kind| self.of_mut(kind).declared = true);
        self.completes = true;
    }

    /// Replaces all entries of `source`, and returns the lists that have changed and the keys that other sources have already.
    pub(crate) fn replace(&mut self, source: Source, offers: Vec<(Kind, Offer<C>)>) -> (Vec<Kind>, Vec<NameTaken>) {
        // A removed backend may publish once more before it has stopped.
        if !self.attached.contains(&source) {
            return (Vec::new(), Vec::new());
        }
        let mut taken = Vec::new();
        let mut fresh = [const { Vec::new() }; Kind::ALL.len()];
        for (kind, offer) in offers {
            self.completes |= offer.complete.is_some();
            fresh[kind as usize].push(Arc::new(offer));
        }
        let changed = self.each_shelf(|kind, shelf, policies| {
            let (differs, names) = shelf.replace(kind, source, core::mem::take(&mut fresh[kind as usize]), policies);
            taken.extend(names);
            differs
        });
        (changed, taken)
    }

    /// Replaces policies at once: of backends and, with `None`, of the server. Returns the lists that
    /// have changed.
    pub(crate) fn set_policies(&mut self, policies: Vec<(Option<Source>, Policy)>) -> Vec<Kind> {
        policies.into_iter().for_each(|(source, policy)| self.policies.set(source, Arc::new(policy)));
        self.each_shelf(|kind, shelf, policies| shelf.refresh(kind, policies))
    }

    /// Adds a backend. The instructions of a staged one are left out until [`update`](Self::update) takes it into use.
    pub(crate) fn attach(&mut self, source: Source, is_staged: bool) {
        self.attached.push(source);
        if is_staged {
            self.instructions.staged.push(source);
        }
    }

    /// Replaces policies, removes backends with their entries, and takes all staged backends into use. Returns
    /// the lists that have changed.
    pub(crate) fn update(&mut self, policies: Vec<(Option<Source>, Policy)>, removed: &[Source]) -> Vec<Kind> {
        policies.into_iter().for_each(|(source, policy)| self.policies.set(source, Arc::new(policy)));
        self.attached.retain(|source| !removed.contains(source));
        self.policies.remove(removed);
        self.names.retain(|(source, _)| !removed.contains(source));
        self.instructions.each.retain(|source, _| source.is_none_or(|source| !removed.contains(&source)));
        self.instructions.staged.clear();
        self.instructions.join();
        self.each_shelf(|kind, shelf, policies| {
            shelf.forget(removed);
            shelf.refresh(kind, policies)
        })
    }

    /// Sets the name of a backend, by which observers know it.
    pub(crate) fn name(&mut self, source: Source, name: &str) {
        self.names.retain(|(known, _)| *known != source);
        self.names.push((source, name.into()));
    }

    /// Returns the name of the backend that has published an offer.
    pub(crate) fn backend_of(&self, offer: &Offer<C>) -> Option<Arc<str>> {
        let source = offer.source?;
        self.names.iter().find(|(known, _)| *known == source).map(|(_, name)| Arc::clone(name))
    }

    /// Changes the shelf of each kind, and returns the kinds for which `change` returns `true`.
    fn each_shelf(&mut self, mut change: impl FnMut(Kind, &mut Shelf<C>, &Policies) -> bool) -> Vec<Kind> {
        let policies = core::mem::take(&mut self.policies);
        let changed: Vec<_> =
            Kind::ALL.into_iter().filter(|kind| change(*kind, self.of_mut(*kind), &policies)).collect();
        self.policies = policies;
        if !changed.is_empty() {
            self.generation = self.generation.wrapping_add(1);
        }
        changed
    }

    /// Returns the offers of a backend that are hidden from callers, with the reason of each.
    pub(crate) fn hidden(&self, source: Source) -> Vec<HiddenEntry> {
        let of = |kind| {
            let hidden = self.of(kind).hidden(kind, source, &self.policies);
            hidden.map(move |(offer, by)| HiddenEntry { kind, key: offer.key.to_string(), by, digest: offer.digest })
        };
        Kind::ALL.into_iter().flat_map(of).collect()
    }

    /// Whether a policy hides an offer.
    pub(crate) fn hides_some(&self) -> bool {
        Kind::ALL.into_iter().any(|kind| self.of(kind).hides_some())
    }

    /// Returns the hidden offer with this name or URI.
    pub(crate) fn hidden_at(&self, kind: Kind, key: &str) -> Option<Arc<Offer<C>>> {
        let json = serde_json::Value::from(key).to_string();
        let text = attache_core::json::Value::parse(json.as_bytes()).ok()?.text()?;
        self.of(kind).all().find(|offer| kind.finds(&offer.key, text)).map(Arc::clone)
    }

    /// Returns the key and the digest of each offer of a backend, also of those that are hidden.
    pub(crate) fn definitions(&self, source: Source) -> Vec<(Kind, String, Digest)> {
        let of = |kind| {
            let offers = self.of(kind).of(Some(source));
            offers.filter_map(move |offer| Some((kind, offer.key.to_string(), offer.digest?)))
        };
        Kind::ALL.into_iter().flat_map(of).collect()
    }

    /// Returns the patterns of policies that match no offer: those of a backend for its offers or,
    /// with `None`, those of the server for all offers.
    pub(crate) fn unmatched_patterns(&self, source: Option<Source>) -> Vec<String> {
        let of = |kind| self.of(kind).of(source).map(move |offer| (kind, &*offer.key));
        let all: Vec<_> = Kind::ALL.into_iter().flat_map(of).collect();
        self.policies.own(source).map(|policy| policy.unmatched(&all)).unwrap_or_default()
    }

    /// Whether the policies let callers hear of changes of the resource with this URI.
    pub(crate) fn admits_uri(&self, source: Option<Source>, uri: &str) -> bool {
        self.policies.of(source).all(|policy| policy.admits_uri(uri))
    }

    /// Returns the entries of `source` that are not listed because lower sources have their keys.
    pub(crate) fn taken_of(&self, source: Source) -> Vec<NameTaken> {
        Kind::ALL.into_iter().flat_map(|kind| self.of(kind).taken_of(kind, source, &self.policies)).collect()
    }

    /// Sets the instructions of the program or of a backend, JSON-escaped. Empty ones are removed.
    pub(crate) fn instruct(&mut self, source: Option<Source>, text: String) {
        if source.is_some_and(|source| !self.attached.contains(&source)) {
            return;
        }
        match text.is_empty() {
            true => self.instructions.each.remove(&source),
            false => self.instructions.each.insert(source, text),
        };
        self.instructions.join();
    }

    /// Returns the instructions of the program and then those of the backends, JSON-escaped.
    pub(crate) fn instructions(&self) -> Option<&str> {
        Some(&*self.instructions.all).filter(|all| !all.is_empty())
    }

    /// Returns the offer at this index.
    pub(crate) fn offer(&self, kind: Kind, index: usize) -> Option<Arc<Offer<C>>> {
        self.of(kind).shown.get(index).map(|shown| Arc::clone(&shown.offer))
    }

    /// Removes an offer. Returns `false` if there is none with this key.
    pub(crate) fn remove(&mut self, kind: Kind, key: &str) -> bool {
        let changed = self.each_shelf(|of, shelf, policies| of == kind && shelf.remove(kind, key, policies));
        !changed.is_empty()
    }

    /// The source of the resource with this URI: that of its own entry, or of the template that it fits.
    pub(crate) fn source_of(&self, uri: &str) -> Option<Source> {
        self.shown_for(uri)?.offer.source
    }

    /// Whether reading this URI needs permissions. `None` if there is no such resource.
    pub(crate) fn needs_of_uri(&self, uri: &str) -> Option<bool> {
        Some(!self.shown_for(uri)?.needs.is_empty())
    }

    fn shown_for(&self, uri: &str) -> Option<&Shown<C>> {
        let json = serde_json::Value::from(uri).to_string();
        let text = attache_core::json::Value::parse(json.as_bytes()).ok()?.text()?;
        [Kind::Resource, Kind::Template].into_iter().find_map(|kind| self.of(kind).shown.get(self.find(kind, text)?))
    }

    pub(crate) fn complete_with(&mut self, completion: Completion<C>) {
        self.completion = Some(Arc::new(completion));
    }

    /// Starts `call`, which was read from `body` and must end by `deadline`. `known` is set for a
    /// call of a legacy session. The events of the call are charged to the request of `permit`. A
    /// retry that answers a parked call continues that call.
    pub(crate) fn start(
        &self,
        body: &Bytes,
        call: Call<'_>,
        (changes, parking, key, request, span): Shared<'_, C>,
        known: Option<Known>,
        deadline: Instant,
        permit: &Permit,
    ) -> Started<C> {
        let request_meta = call.request_meta();
        let (kind, index) = call.operation().entry();
        let Some(Shown { offer, .. }) = self.of(kind).shown.get(index) else {
            return Started::ended(crashed(&"a call of something that is not there"));
        };
        let binding = Binding::of(body, &call, kind, &offer.key);
        let client = known.map(|known| known.client);
        let asking = match Asking::of(body, call.version(), &request_meta, (key, &binding), client, permit) {
            Ok(asking) => asking,
            Err(reason) => return Started::ended(Outcome::Rejected(Code::InvalidParams, reason)),
        };
        if let Some(parked) = asking.parked() {
            let resumed = parking.resume(parked, asking.into_answers(), request_meta.progress_token, permit);
            let Suspended { run, events, permit: held } = resumed;
            return Started { run, events, again: None, held };
        }
        let level = known.and_then(|known| known.level);
        // A closure asks by its outcome, and runs again with the answers.
        let asks = offer.source.is_some();
        let (events, received) = Events::new(call.version(), &request_meta, self.logging, level, asks, permit);
        let asking = Arc::new(asking);
        let again = known.map(|_| (key.clone(), binding.clone()));
        let sealer = Sealer::new(key.clone(), binding, Arc::clone(&asking));
        let called = Called {
            version: call.version(),
            events: Arc::new(events),
            asking,
            metadata: Metadata::of(body, request_meta.metadata),
            span,
            extensions: Arc::clone(&self.extensions),
            caller: Caller::of(call.who()),
            session: known.map(|known| known.session),
            deadline,
            changes: changes.clone(),
            request: request.cloned(),
        };
        let uri = call.read().uri();
        let again = again.map(|(key, binding)| {
            let brought = match call.operation() {
                Operation::Tool(_) | Operation::Prompt(_) => None,
                _ => Some((owned(uri), variables(&offer.key, uri))),
            };
            Rerun { offer: Arc::clone(offer), kind, brought, call: called.clone(), key, binding }
        });
        let run = match call.operation() {
            Operation::Tool(_) | Operation::Prompt(_) => (offer.start)(Asked::With(call.arguments()), called, sealer),
            Operation::Resource(_) => (offer.start)(Asked::Uri(owned(uri), Vec::new()), called, sealer),
            Operation::Template(_) => (offer.start)(Asked::Uri(owned(uri), variables(&offer.key, uri)), called, sealer),
            Operation::Complete(..) => {
                let typed = call.completing();
                let [argument, value] = [typed.argument(), typed.value()].map(owned);
                let mut context = Vec::new();
                // The context was already parsed as a part of the body.
                let _ = typed.context().each(|name, value| {
                    context.push((owned(name), owned(value.text().unwrap_or_default())));
                    Ok(true)
                });
                let typed = CompletionRequest::new((kind, offer.key.to_string()), (argument, value), context);
                self.complete(offer, typed, called, sealer)
            }
        };
        Started { run, events: received, again, held: Permit::uncounted() }
    }

    fn complete(&self, offer: &Offer<C>, typed: CompletionRequest, call: Called<C>, sealer: Sealer) -> Run {
        match offer.complete.as_ref().or(self.completion.as_deref()) {
            Some(completion) => completion.run(typed, call, sealer),
            None => Box::pin(ready(crashed(&"a completion, of which there is none"))),
        }
    }

    const fn of_mut(&mut self, kind: Kind) -> &mut Shelf<C> {
        match kind {
            Kind::Tool => &mut self.tools,
            Kind::Prompt => &mut self.prompts,
            Kind::Resource => &mut self.resources,
            Kind::Template => &mut self.templates,
        }
    }

    const fn of(&self, kind: Kind) -> &Shelf<C> {
        match kind {
            Kind::Tool => &self.tools,
            Kind::Prompt => &self.prompts,
            Kind::Resource => &self.resources,
            Kind::Template => &self.templates,
        }
    }
}

impl<C: Clone> Catalogue for Registry<C> {
    fn len(&self, kind: Kind) -> usize {
        self.of(kind).shown.len()
    }

    fn key(&self, kind: Kind, index: usize) -> Option<&str> {
        Some(&self.of(kind).shown.get(index)?.offer.key)
    }

    fn members<'s>(&'s self, kind: Kind, index: usize, take: &mut dyn FnMut(Member<'s>)) {
        let shown = self.of(kind).shown.get(index);
        let members = shown.into_iter().flat_map(|shown| &shown.offer.members);
        members.for_each(|(since, members)| take(Member::since(*since, members)));
    }

    fn features(&self) -> Features {
        Features {
            tools: self.tools.declared,
            prompts: self.prompts.declared,
            resources: self.resources.declared || self.templates.declared,
            completions: self.completion.is_some() || self.completes,
            logging: self.logging,
            list_changed: self.subscriptions,
            subscribe: self.subscriptions,
        }
    }

    fn generation(&self) -> u32 {
        self.generation
    }

    fn mirror(&self, tool: usize, number: usize) -> Option<Mirror<'_>> {
        let (header, path) = self.tools.shown.get(tool)?.offer.mirrors.get(number)?;
        Some(Mirror { header, path })
    }

    fn declares(&self, kind: Kind, index: usize, argument: Text<'_>) -> bool {
        let Some(Shown { offer, .. }) = self.of(kind).shown.get(index) else {
            return false;
        };
        match (kind, &offer.arguments) {
            (Kind::Template, _) => template::names(&offer.key).any(|name| argument.is(name)),
            (Kind::Resource, _) => false,
            (_, arguments) => arguments.as_ref().is_none_or(|known| known.iter().any(|known| argument.is(known))),
        }
    }

    fn need(&self, kind: Kind, index: usize, number: usize) -> Option<Need<'_>> {
        Some(match self.of(kind).shown.get(index)?.needs.get(number)? {
            Needed::Scope(scope) => Need::Scope(scope),
            Needed::Role(role) => Need::Role(role),
        })
    }

    fn implied(&self, number: usize) -> Option<(&str, &str)> {
        let (broad, narrow) = self.implied.get(number)?;
        Some((broad, narrow))
    }

    fn find(&self, kind: Kind, key: Text<'_>) -> Option<usize> {
        let shelf = self.of(kind);
        let finds = |shown: &Shown<C>| kind.finds(&shown.offer.key, key);
        match (kind, key.plain()) {
            (Kind::Template, _) => {
                // The list does not name the URIs of a template, so a policy judges each of them.
                shelf.shown.iter().position(|shown| finds(shown) && shown.permits_uri(|| owned(key)))
            }
            (_, plain) => {
                let number = match plain {
                    Some(key) => shelf.numbers.get(key),
                    None => shelf.numbers.get(owned(key).as_str()),
                };
                // Only URIs have several spellings.
                let search = || shelf.shown.iter().position(finds);
                number.copied().or_else(|| if kind == Kind::Resource { search() } else { None })
            }
        }
    }
}

/// Returns the values of a template's variables in a URI.
fn variables(template: &str, uri: Text<'_>) -> Vec<(String, String)> {
    template::names(template)
        .filter_map(|name| Some((name.to_owned(), owned(template::variable(template, uri, name)?))))
        .collect()
}

fn owned(text: Text<'_>) -> String {
    text.chars().collect()
}
