//! Web pages that users are sent to.

/// A web page that the user must visit before a call can continue, such as a sign-in page: see
/// [`Ctx::require_page`](crate::Ctx::require_page).
#[derive(Clone, Debug)]
pub struct UserPage {
    pub(super) id: String,
    pub(super) message: String,
    pub(super) url: String,
}

impl UserPage {
    /// Creates a page at `url`, with a `message` for the user. The `id` identifies this visit among
    /// all visits of all callers. It must not be guessable, but it is not a secret to the client
    /// that is sent there.
    pub fn new(id: &str, message: &str, url: &str) -> Self {
        Self { id: id.to_owned(), message: message.to_owned(), url: url.to_owned() }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}
