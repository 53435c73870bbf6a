//! Pages that persons are sent to.

/// A page that a person has to have been to before a call can go on, such as a sign-in: see [`Ctx::page_first`](crate::Ctx::page_first).
#[derive(Clone, Debug)]
pub struct Page {
    pub(super) id: String,
    pub(super) message: String,
    pub(super) url: String,
}

impl Page {
    /// A page at `url`, and for the person `message`. The `id` is the program's name for this one visit: it tells a visit from all
    /// others of all callers, cannot be guessed, and is no secret to the client that is sent there.
    pub fn new(id: &str, message: &str, url: &str) -> Self {
        Self { id: id.to_owned(), message: message.to_owned(), url: url.to_owned() }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}
