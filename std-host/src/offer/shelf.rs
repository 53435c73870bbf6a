//! The offers of one kind: all of them, and those that the policies show to callers.

use super::definition::{Offer, Source};
use super::name_taken::NameTaken;
use crate::policy::{HiddenBy, Judged, Needed, Policy};
use attache_core::tool::Kind;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// The policies of a server and of its backends.
#[derive(Clone, Debug, Default)]
pub(super) struct Policies {
    server: Option<Arc<Policy>>,
    sources: Vec<(Source, Arc<Policy>)>,
}

impl Policies {
    /// Replaces the policy of a backend, or that of the server.
    pub(super) fn set(&mut self, source: Option<Source>, policy: Arc<Policy>) {
        let Some(source) = source else {
            self.server = Some(policy);
            return;
        };
        self.sources.retain(|(known, _)| *known != source);
        self.sources.push((source, policy));
    }

    /// Removes the policies of these backends.
    pub(super) fn remove(&mut self, removed: &[Source]) {
        self.sources.retain(|(source, _)| !removed.contains(source));
    }

    /// Returns the policy of a backend, or that of the server.
    pub(super) fn own(&self, source: Option<Source>) -> Option<&Arc<Policy>> {
        match source {
            None => self.server.as_ref(),
            Some(source) => self.sources.iter().find(|(known, _)| *known == source).map(|(_, policy)| policy),
        }
    }

    /// Returns the policies for the offers of a backend, or for those of the program.
    pub(super) fn of(&self, source: Option<Source>) -> impl Iterator<Item = &Arc<Policy>> {
        let own = self.sources.iter().filter(move |(known, _)| Some(*known) == source).map(|(_, policy)| policy);
        self.server.iter().chain(own)
    }
}

/// The offers of one kind.
#[derive(Clone, Debug)]
pub(super) struct Shelf<C> {
    /// All offers, in their order.
    all: Vec<Arc<Offer<C>>>,
    /// The offers that exist for callers, in the order of lists.
    pub(super) shown: Vec<Shown<C>>,
    pub(super) numbers: HashMap<Arc<str>, usize>,
    /// Whether there has ever been an offer. The capability stays declared when the last one is
    /// removed, because clients cache it.
    pub(super) declared: bool,
}

/// An offer that exists for callers.
#[derive(Debug)]
pub(super) struct Shown<C> {
    pub(super) offer: Arc<Offer<C>>,
    /// The scopes and roles that the caller's token must have.
    pub(super) needs: Arc<[Needed]>,
    /// The policies that judge each URI of a template.
    rules: Arc<[Arc<Policy>]>,
}

// Written by hand, because derived implementations would require more of `C`.
impl<C> Clone for Shown<C> {
    fn clone(&self) -> Self {
        let Self { offer, needs, rules } = self;
        Self { offer: Arc::clone(offer), needs: Arc::clone(needs), rules: Arc::clone(rules) }
    }
}

impl<C> Default for Shelf<C> {
    fn default() -> Self {
        Self { all: Vec::new(), shown: Vec::new(), numbers: HashMap::new(), declared: false }
    }
}

impl<C> Shown<C> {
    fn new(kind: Kind, offer: &Arc<Offer<C>>, policies: &Policies) -> Result<Self, HiddenBy> {
        let Offer { key, is_read_only, digest, source, .. } = &**offer;
        let judged = Judged { kind, key, is_read_only: *is_read_only, digest: *digest };
        let mut needs = offer.needs.clone();
        let mut rules = Vec::new();
        for policy in policies.of(*source) {
            needs.extend(policy.judge(&judged)?.into_iter().cloned());
            if kind == Kind::Template {
                rules.push(Arc::clone(policy));
            }
        }
        Ok(Self { offer: Arc::clone(offer), needs: needs.into(), rules: rules.into() })
    }

    /// Whether the policies permit this URI of the template.
    pub(super) fn permits_uri(&self, uri: impl FnOnce() -> String) -> bool {
        self.rules.is_empty() || {
            let uri = uri();
            self.rules.iter().all(|policy| policy.permits_uri(&uri, &self.needs))
        }
    }
}

impl<C> Shelf<C> {
    /// Adds an offer behind the others.
    pub(super) fn add(&mut self, kind: Kind, offer: Offer<C>, policies: &Policies) -> Result<(), NameTaken> {
        if self.numbers.contains_key(&offer.key) || self.all.iter().any(|known| known.has_place(&offer)) {
            return Err(NameTaken::new(kind, &offer.key));
        }
        let offer = Arc::new(offer);
        self.all.push(Arc::clone(&offer));
        self.declared = true;
        if let Ok(shown) = Shown::new(kind, &offer, policies) {
            self.numbers.insert(Arc::clone(&offer.key), self.shown.len());
            self.shown.push(shown);
        }
        Ok(())
    }

    /// Removes the offer with this key. Returns `false` if there is none.
    pub(super) fn remove(&mut self, kind: Kind, key: &str, policies: &Policies) -> bool {
        let shown =
            self.numbers.get(key).and_then(|number| self.shown.get(*number)).map(|shown| Arc::clone(&shown.offer));
        let is_it = |offer: &Arc<Offer<C>>| match &shown {
            Some(shown) => Arc::ptr_eq(shown, offer),
            None => &*offer.key == key && offer.source.is_none(),
        };
        let Some(place) = self.all.iter().position(is_it) else { return false };
        self.all.remove(place);
        self.show(kind, policies);
        true
    }

    /// Replaces all offers of `source`. They are listed after those of lower sources. Returns
    /// whether the list has changed, and the offers that are left out because another one has their
    /// key.
    pub(super) fn replace(
        &mut self,
        kind: Kind,
        source: Source,
        fresh: Vec<Arc<Offer<C>>>,
        policies: &Policies,
    ) -> (bool, Vec<NameTaken>) {
        self.declared |= !fresh.is_empty();
        self.all.retain(|offer| offer.source != Some(source));
        self.all.extend(fresh);
        self.all.sort_by_key(|offer| offer.source);
        let before = core::mem::take(&mut self.shown);
        let taken = self.show(kind, policies).into_iter().filter(|offer| offer.source == Some(source));
        let taken = taken.map(|offer| NameTaken::new(kind, &offer.key)).collect();
        (self.differs(&before), taken)
    }

    /// Removes all offers of these backends. [`refresh`](Self::refresh) has to follow.
    pub(super) fn forget(&mut self, removed: &[Source]) {
        self.all.retain(|offer| offer.source.is_none_or(|source| !removed.contains(&source)));
    }

    /// Shows what the policies allow now. Returns whether the list has changed.
    pub(super) fn refresh(&mut self, kind: Kind, policies: &Policies) -> bool {
        let before = core::mem::take(&mut self.shown);
        self.show(kind, policies);
        self.differs(&before)
    }

    fn differs(&self, before: &[Shown<C>]) -> bool {
        let is_same = |(one, other): (&Shown<C>, &Shown<C>)| {
            one.needs == other.needs
                && (Arc::ptr_eq(&one.offer, &other.offer)
                    || one.offer.key == other.offer.key && one.offer.members == other.offer.members)
        };
        before.len() != self.shown.len() || !before.iter().zip(&self.shown).all(is_same)
    }

    /// Judges all offers, and returns those that are left out because another one has their key.
    fn show(&mut self, kind: Kind, policies: &Policies) -> Vec<Arc<Offer<C>>> {
        let mut taken = Vec::new();
        self.shown.clear();
        self.numbers.clear();
        for offer in &self.all {
            let Ok(shown) = Shown::new(kind, offer, policies) else { continue };
            match self.numbers.entry(Arc::clone(&offer.key)) {
                Entry::Occupied(_) => taken.push(Arc::clone(offer)),
                Entry::Vacant(free) => {
                    free.insert(self.shown.len());
                    self.shown.push(shown);
                }
            }
        }
        taken
    }

    /// Returns the offers of a backend that are left out because another one has their key.
    pub(super) fn taken_of(&self, kind: Kind, source: Source, policies: &Policies) -> Vec<NameTaken> {
        let is_shown = |offer: &Arc<Offer<C>>| self.shown.iter().any(|shown| Arc::ptr_eq(&shown.offer, offer));
        let own = self.all.iter().filter(|offer| offer.source == Some(source) && !is_shown(offer));
        let taken = own.filter(|offer| Shown::new(kind, offer, policies).is_ok());
        taken.map(|offer| NameTaken::new(kind, &offer.key)).collect()
    }

    /// Whether a policy hides an offer, or another offer has its key.
    pub(super) const fn hides_some(&self) -> bool {
        self.all.len() > self.shown.len()
    }

    /// Returns all offers, also those that are hidden.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Offer<C>>> {
        self.all.iter()
    }

    /// Returns the offers of a backend that its policies hide, with the reason of each.
    pub(super) fn hidden(
        &self,
        kind: Kind,
        source: Source,
        policies: &Policies,
    ) -> impl Iterator<Item = (&Offer<C>, HiddenBy)> {
        let own = self.all.iter().filter(move |offer| offer.source == Some(source));
        own.filter_map(move |offer| Some((&**offer, Shown::new(kind, offer, policies).err()?)))
    }

    /// Returns all offers of a backend or, with `None`, of the program and all backends.
    pub(super) fn of(&self, source: Option<Source>) -> impl Iterator<Item = &Offer<C>> {
        self.all.iter().map(|offer| &**offer).filter(move |offer| source.is_none() || offer.source == source)
    }
}
