//! The registry of a server's offers, by index and by key, with the functions that run them.

use crate::auth::Caller;
use crate::budget::Permit;
use crate::call::{
    Asking, Binding, CompletionRequest, EventReceiver, Events, Extensions, Failure, Metadata, Outcome, Parking, Run,
    Sealer, Suspended, crashed,
};
use attache_core::auth::Need;
use attache_core::era::{Client, Version};
use attache_core::json::{self, Text};
use attache_core::rpc::Code;
use attache_core::seal::Key;
use attache_core::tool::{Arguments, Call, Catalogue, Features, Kind, Level, Member, Mirror, Operation, template};
use bytes::Bytes;
use core::fmt;
use core::future::ready;
use serde_json::{Map, Value};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
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
    instructions: Instructions,
    /// Incremented with every change of a list.
    generation: u32,
}

/// The instructions for the model, JSON-escaped.
#[derive(Clone, Debug, Default)]
struct Instructions {
    /// Those of the program, and of each backend.
    each: BTreeMap<Option<Source>, String>,
    all: String,
}

/// The offers of one kind, in the order in which they were added.
#[derive(Clone, Debug)]
struct Shelf<C> {
    offers: Vec<Arc<Offer<C>>>,
    /// Offers of backends whose keys belong to an offer of the program or of an earlier backend.
    hidden: Vec<Arc<Offer<C>>>,
    numbers: HashMap<Arc<str>, usize>,
    /// Whether there has ever been an offer. The capability stays declared when the last one is
    /// removed, because clients cache it.
    declared: bool,
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
            instructions: Instructions::default(),
            generation: 0,
        }
    }
}

impl<C> Default for Shelf<C> {
    fn default() -> Self {
        Self { hidden: Vec::new(), offers: Vec::new(), numbers: HashMap::new(), declared: false }
    }
}

/// The error for an offer with a name, URI or template that is already taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTaken {
    kind: Kind,
    key: String,
}

impl NameTaken {
    /// Returns the kind of the entry.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the name, URI or template.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for NameTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = format!("{:?}", self.kind).to_lowercase();
        write!(f, "there is already a {kind} {:?}", self.key)
    }
}

impl core::error::Error for NameTaken {}

/// One tool, prompt, resource or template.
pub(crate) struct Offer<C> {
    /// The name, URI or template.
    pub(crate) key: Arc<str>,
    /// The members that lists print: members of a JSON object, by the revision that introduced
    /// them, oldest first.
    pub(crate) members: Vec<(Version, String)>,
    /// The names of the arguments, if no others are allowed.
    pub(crate) arguments: Option<Vec<String>>,
    /// The arguments that clients mirror in headers, as pairs of header and path.
    pub(crate) mirrors: Vec<(String, String)>,
    /// The scopes and roles that the caller's token must have.
    pub(crate) needs: Vec<Needed>,
    /// Reads the input of the call and runs the handler.
    pub(crate) start: Start<C>,
    /// Completes the arguments. `None` if the server's completion does.
    pub(crate) complete: Option<Completion<C>>,
    /// The backend that has published the offer. `None` if the program has added it.
    pub(crate) source: Option<Source>,
}

/// The index of a backend, in the order in which backends were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source(pub(crate) u32);

/// A scope or a role.
pub(crate) enum Needed {
    Scope(String),
    Role(String),
}

/// What all calls of a request share: the handle to change the offers, the parked calls, the key that
/// seals, and the request extensions that handlers see.
pub(crate) type Shared<'s, C> = (&'s C, &'s Parking, &'s Key, Option<&'s Arc<http::Extensions>>);

/// The function that runs a handler.
pub(crate) type Start<C> = Box<dyn Fn(Asked<'_>, Called<C>, Sealer) -> Run + Send + Sync>;

/// A call as its handler sees it. Clones belong to the same call.
#[derive(Clone, Debug)]
pub(crate) struct Called<C> {
    pub(crate) version: Version,
    pub(crate) events: Arc<Events>,
    pub(crate) asking: Arc<Asking>,
    pub(crate) metadata: Metadata,
    pub(crate) extensions: Arc<Extensions>,
    pub(crate) caller: Caller,
    /// The name of the client's session, for a legacy client.
    pub(crate) session: Option<[u8; 16]>,
    pub(crate) deadline: Instant,
    pub(crate) changes: C,
    /// The declared extensions of the HTTP request. `None` if the server declares none.
    pub(crate) request: Option<Arc<http::Extensions>>,
}

/// The input of a call.
pub(crate) enum Asked<'b> {
    /// The arguments of a tool or a prompt.
    With(Arguments<'b>),
    /// The URI of a resource, and the values of its template's variables.
    Uri(String, Vec<(String, String)>),
}

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

/// A function that completes arguments.
pub(crate) struct Completion<C>(Box<dyn Fn(CompletionRequest, Called<C>, Sealer) -> Run + Send + Sync>);

impl<C> Completion<C> {
    pub(crate) fn new(complete: impl Fn(CompletionRequest, Called<C>, Sealer) -> Run + Send + Sync + 'static) -> Self {
        Self(Box::new(complete))
    }

    pub(crate) fn run(&self, request: CompletionRequest, call: Called<C>, sealer: Sealer) -> Run {
        (self.0)(request, call, sealer)
    }
}

impl<C> Shelf<C> {
    /// Replaces all entries of `source`. They are listed after those of lower sources, and the entry
    /// of the lowest source has a key that several sources offer. Returns whether the list has
    /// changed, and the keys of `source` that lower sources have.
    fn replace(&mut self, source: Source, fresh: Vec<Arc<Offer<C>>>) -> (bool, Vec<String>) {
        let listed = |offer: &Arc<Offer<C>>| (Arc::clone(&offer.key), offer.members.clone());
        let before: Vec<_> = self.offers.iter().map(listed).collect();
        self.declared |= !fresh.is_empty();
        let mut all: Vec<_> = self.offers.drain(..).chain(self.hidden.drain(..)).collect();
        all.retain(|offer| offer.source != Some(source));
        all.extend(fresh);
        all.sort_by_key(|offer| offer.source);
        let mut keys = HashSet::new();
        (self.offers, self.hidden) = all.into_iter().partition(|offer| keys.insert(Arc::clone(&offer.key)));
        self.numbers = self.offers.iter().enumerate().map(|(number, offer)| (Arc::clone(&offer.key), number)).collect();
        let differs = before != self.offers.iter().map(listed).collect::<Vec<_>>();
        (differs, self.hidden_of(source))
    }

    /// Returns the keys of `source` that lower sources have.
    fn hidden_of(&self, source: Source) -> Vec<String> {
        let own = self.hidden.iter().filter(|offer| offer.source == Some(source));
        own.map(|offer| offer.key.to_string()).collect()
    }
}

impl<C: Clone> Registry<C> {
    /// Adds an offer.
    ///
    /// # Errors
    /// If the key is taken.
    pub(crate) fn add(&mut self, kind: Kind, offer: Offer<C>) -> Result<(), NameTaken> {
        let completes = offer.complete.is_some();
        let shelf = self.of_mut(kind);
        match shelf.numbers.entry(offer.key.clone()) {
            Entry::Occupied(taken) => return Err(NameTaken { kind, key: taken.key().to_string() }),
            Entry::Vacant(free) => free.insert(shelf.offers.len()),
        };
        shelf.offers.push(Arc::new(offer));
        shelf.declared = true;
        self.completes |= completes;
        self.generation = self.generation.wrapping_add(1);
        Ok(())
    }

    /// Whether no list has an entry.
    pub(crate) fn is_empty(&self) -> bool {
        Kind::ALL.into_iter().all(|kind| self.of(kind).offers.is_empty())
    }

    /// Declares all kinds of entries: a backend may come with any of them after clients have asked what the server offers.
    pub(crate) fn declare_all(&mut self) {
        Kind::ALL.into_iter().for_each(|kind| self.of_mut(kind).declared = true);
        self.completes = true;
    }

    /// Replaces all entries of `source`, and returns the lists that have changed and the keys that other sources have already.
    pub(crate) fn replace(&mut self, source: Source, offers: Vec<(Kind, Offer<C>)>) -> (Vec<Kind>, Vec<NameTaken>) {
        let mut taken = Vec::new();
        let mut fresh = [const { Vec::new() }; Kind::ALL.len()];
        for (kind, offer) in offers {
            self.completes |= offer.complete.is_some();
            fresh[kind as usize].push(Arc::new(offer));
        }
        let mut changed = Vec::new();
        for (kind, fresh) in Kind::ALL.into_iter().zip(fresh) {
            let (differs, keys) = self.of_mut(kind).replace(source, fresh);
            taken.extend(keys.into_iter().map(|key| NameTaken { kind, key }));
            changed.extend(differs.then_some(kind));
        }
        if !changed.is_empty() {
            self.generation = self.generation.wrapping_add(1);
        }
        (changed, taken)
    }

    /// Returns the entries of `source` that are not listed because lower sources have their keys.
    pub(crate) fn hidden_of(&self, source: Source) -> Vec<NameTaken> {
        let hidden = |kind: Kind| {
            let keys = self.of(kind).hidden_of(source);
            keys.into_iter().map(move |key| NameTaken { kind, key })
        };
        Kind::ALL.into_iter().flat_map(hidden).collect()
    }

    /// Sets the instructions of the program or of a backend, JSON-escaped. Empty ones are removed.
    pub(crate) fn instruct(&mut self, source: Option<Source>, text: String) {
        let Instructions { each, all } = &mut self.instructions;
        match text.is_empty() {
            true => each.remove(&source),
            false => each.insert(source, text),
        };
        *all = each.values().map(String::as_str).collect::<Vec<_>>().join(r"\n\n");
    }

    /// Returns the instructions of the program and then those of the backends, JSON-escaped.
    pub(crate) fn instructions(&self) -> Option<&str> {
        Some(&*self.instructions.all).filter(|all| !all.is_empty())
    }

    /// Returns the offer at this index.
    pub(crate) fn offer(&self, kind: Kind, index: usize) -> Option<Arc<Offer<C>>> {
        self.of(kind).offers.get(index).cloned()
    }

    /// Removes an offer. Returns `false` if there is none with this key.
    pub(crate) fn remove(&mut self, kind: Kind, key: &str) -> bool {
        let shelf = self.of_mut(kind);
        let Some(number) = shelf.numbers.remove(key) else {
            return false;
        };
        shelf.offers.remove(number);
        shelf.numbers.values_mut().filter(|other| **other > number).for_each(|other| *other -= 1);
        self.generation = self.generation.wrapping_add(1);
        true
    }

    /// The source of the resource with this URI: that of its own entry, or of the template that it fits.
    pub(crate) fn source_of(&self, uri: &str) -> Option<Source> {
        let json = serde_json::Value::from(uri).to_string();
        let text = attache_core::json::Value::parse(json.as_bytes()).ok()?.text()?;
        [Kind::Resource, Kind::Template].into_iter().find_map(|kind| self.offer(kind, self.find(kind, text)?)?.source)
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
        (changes, parking, key, request): Shared<'_, C>,
        known: Option<Known>,
        deadline: Instant,
        permit: &Permit,
    ) -> Started<C> {
        let request_meta = call.request_meta();
        let (kind, index) = call.operation().entry();
        let Some(offer) = self.of(kind).offers.get(index) else {
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
        self.of(kind).offers.len()
    }

    fn key(&self, kind: Kind, index: usize) -> Option<&str> {
        Some(&self.of(kind).offers.get(index)?.key)
    }

    fn members<'s>(&'s self, kind: Kind, index: usize, take: &mut dyn FnMut(Member<'s>)) {
        let offer = self.of(kind).offers.get(index);
        let members = offer.into_iter().flat_map(|offer| &offer.members);
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
        let (header, path) = self.tools.offers.get(tool)?.mirrors.get(number)?;
        Some(Mirror { header, path })
    }

    fn declares(&self, kind: Kind, index: usize, argument: Text<'_>) -> bool {
        let Some(offer) = self.of(kind).offers.get(index) else {
            return false;
        };
        match (kind, &offer.arguments) {
            (Kind::Template, _) => template::names(&offer.key).any(|name| argument.is(name)),
            (Kind::Resource, _) => false,
            (_, arguments) => arguments.as_ref().is_none_or(|known| known.iter().any(|known| argument.is(known))),
        }
    }

    fn need(&self, kind: Kind, index: usize, number: usize) -> Option<Need<'_>> {
        Some(match self.of(kind).offers.get(index)?.needs.get(number)? {
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
        match (kind, key.plain()) {
            (Kind::Template, _) => shelf.offers.iter().position(|offer| kind.finds(&offer.key, key)),
            (_, plain) => {
                let number = match plain {
                    Some(key) => shelf.numbers.get(key),
                    None => shelf.numbers.get(owned(key).as_str()),
                };
                // Only URIs have several spellings.
                let search = || shelf.offers.iter().position(|offer| kind.finds(&offer.key, key));
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

impl<C> fmt::Debug for Offer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer").field("key", &self.key).field("members", &self.members).finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for Completion<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion").finish_non_exhaustive()
    }
}
