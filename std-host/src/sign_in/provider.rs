//! A provider at which people sign in.

use super::InvalidSignIn;
use super::people::People;
use crate::provider::Upstream;

/// A provider at which people sign in, and the people of it who may. Without lists, everyone who has an account there may sign in.
#[derive(Debug)]
pub struct Provider {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) upstream: Upstream,
    pub(super) people: People,
}

/// Takes a list of texts.
macro_rules! lists {
    ($($(#[doc = $doc:literal])+ $name:ident)*) => { $(
        $(#[doc = $doc])+
        #[must_use]
        pub fn $name<T: Into<String>>(mut self, list: impl IntoIterator<Item = T>) -> Self {
            self.people.$name.extend(list.into_iter().map(Into::into));
            self
        }
    )* };
}

impl Provider {
    /// Creates a provider. Its `name` is a part of the paths of its pages, such as `/.auth/login/NAME`.
    #[must_use]
    pub fn new(name: &str, upstream: Upstream) -> Self {
        Self { name: name.to_owned(), label: name.to_owned(), upstream, people: People::default() }
    }

    /// Sets the name for people, who choose among several providers by it.
    #[must_use]
    pub fn label(mut self, label: &str) -> Self {
        self.label = label.to_owned();
        self
    }

    lists! {
        /// Allow-list of people (`oid` or `sub`).
        identities
        /// Allow-list of groups (`groups`), in addition to the identities.
        groups
        /// Allow-list of tenants (`tid`); `*` allows all.
        tenants
        /// Allow-list of the domains of verified e-mail addresses, and of organizations (`hd`).
        domains
    }
}

/// Checks the names of providers, and that the people of every tenant are not let in by mistake.
pub(super) fn check(providers: &[Provider]) -> Result<(), InvalidSignIn> {
    if providers.is_empty() {
        return Err(InvalidSignIn::NoProvider);
    }
    for (number, Provider { name, upstream, people, .. }) in providers.iter().enumerate() {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        // `done` is the page after a sign-in.
        if name.is_empty() || name == "done" || !name.bytes().all(is_of_name) {
            return Err(InvalidSignIn::Name(name.clone()));
        }
        if providers.iter().take(number).any(|other| other.name == *name) {
            return Err(InvalidSignIn::SameName(name.clone()));
        }
        if upstream.has_tenants() && people.tenants.is_empty() {
            return Err(InvalidSignIn::Tenants(name.clone()));
        }
    }
    Ok(())
}
