//! Sign-in of a person for a client: OAuth 2.1 with the rules of MCP basic/authorization.

mod kept;
mod session;

use super::credential::{TokenFuture, TokenRefusal, TokenSource};
use super::error::Error;
use crate::clock::now;
use crate::oauth::{
    Application, Attempt, Challenge, ClientAuth, Fetch, Issuer, Loopback, OAuthError, Protected, Request, issuer,
    protected, register, revoke, token,
};
use core::fmt;
use kept::Kept;
use reqwest::Url;
use session::{Session, with_scopes};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard};

/// The sign-in of a person at the authorization server of one MCP server, as a [`TokenSource`].
///
/// When the server asks for a token, this finds its authorization server, registers the client
/// there, and has the page opened on which the person signs in. It listens on a port of this
/// machine for the response. Tokens are renewed before they end, and when the server refuses them.
/// If the server asks for further scopes, the person is asked again.
///
/// ```no_run
/// use attache_host::client::{Client, Credential, SignIn};
/// use std::sync::Arc;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let url = "https://mcp.example.com/mcp";
/// let sign_in = SignIn::new("my-app", url)?
///     .keep_in("/home/me/.local/state/my-app".as_ref())
///     .on_page(|issuer, page| println!("Sign in at {issuer}: {page}"));
/// let client = Client::builder("my-app", "1.0").credential(Credential::Source(Arc::new(sign_in))).http(url).await?;
/// # Ok(())
/// # }
/// ```
pub struct SignIn {
    url: Url,
    application: Application,
    scopes: Vec<String>,
    port: u16,
    kept: Option<Kept>,
    on_page: Option<OnPage>,
    state: Mutex<State>,
}

/// A function that shows a person the page to open: the authorization server, and the URL.
type OnPage = Box<dyn Fn(&str, &str) + Send + Sync>;

#[derive(Default)]
struct State {
    /// Whether the file was read.
    is_read: bool,
    session: Option<Session>,
    fetch: Option<Arc<Fetch>>,
}

/// The outcome of [`SignIn::sign_out`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignedOut {
    /// There were no tokens.
    NotSignedIn,
    /// The tokens are deleted, and the authorization server has revoked them.
    Revoked,
    /// The tokens are deleted. The authorization server cannot revoke tokens, or has not done it.
    Deleted,
}

impl SignIn {
    /// The sign-in for the server at a URL. `name` is the name of the client that people see when
    /// they are asked for consent.
    ///
    /// # Errors
    /// If the URL is neither an `https` URL nor an `http` URL of this machine.
    pub fn new(name: impl Into<String>, url: &str) -> Result<Self, Error> {
        let forbidden = || OAuthError::ForbiddenUrl(url.to_owned());
        let parsed = Url::parse(url).map_err(|_| Error::OAuth(forbidden()))?;
        if !crate::auth::fetch::Reach::of(url).is_some_and(|reach| reach.allows(url)) {
            return Err(Error::OAuth(forbidden()));
        }
        Ok(Self {
            url: parsed,
            application: Application { name: name.into(), ..Application::default() },
            scopes: Vec::new(),
            port: 0,
            kept: None,
            on_page: None,
            state: Mutex::default(),
        })
    }

    /// Uses a client that is registered at the authorization server. Otherwise the client registers itself.
    #[must_use]
    pub fn client(mut self, id: impl Into<String>, secret: Option<String>) -> Self {
        let client = ClientAuth { client_id: id.into(), client_secret: secret, ..ClientAuth::default() };
        self.application.registered = Some(client);
        self
    }

    /// Uses the client id metadata document at this `https` URL, if the authorization server supports such documents. The document
    /// must have the redirect URI `http://127.0.0.1/callback`.
    #[must_use]
    pub fn client_document(mut self, url: impl Into<String>) -> Self {
        self.application.document = Some(url.into());
        self
    }

    /// Requests these scopes in addition to those that the server asks for.
    #[must_use]
    pub fn scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Listens for the response on this port of 127.0.0.1, and not on a free one: for clients that are registered with a port, and
    /// for ports that are forwarded from another machine.
    #[must_use]
    pub const fn redirect_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Keeps the tokens in a file of this directory that only its owner can read. Otherwise they end with the program.
    #[must_use]
    pub fn keep_in(mut self, directory: &Path) -> Self {
        self.kept = Some(Kept::new(directory, self.url.as_str()));
        self
    }

    /// Calls a function with the authorization server and the URL of the page on which the person signs in. Without it, no
    /// person is asked: kept tokens are used and renewed, and the server's refusal is the error of the request.
    #[must_use]
    pub fn on_page(mut self, on_page: impl Fn(&str, &str) + Send + Sync + 'static) -> Self {
        self.on_page = Some(Box::new(on_page));
        self
    }

    /// Whether there is a file with tokens of an earlier sign-in.
    pub fn is_kept(&self) -> bool {
        self.kept.as_ref().is_some_and(Kept::exists)
    }

    /// Deletes the tokens, and has the authorization server revoke them.
    ///
    /// # Errors
    /// If the file cannot be read or deleted.
    pub async fn sign_out(&self) -> Result<SignedOut, Error> {
        let mut state = self.read().await?;
        let session = state.session.take();
        if let Some(kept) = &self.kept {
            kept.remove()?;
        }
        let Some(session) = session else { return Ok(SignedOut::NotSignedIn) };
        let (Some(endpoint), fetch) = (&session.revocation_endpoint, self.fetch(&mut state)?) else {
            return Ok(SignedOut::Deleted);
        };
        // RFC 7009 §2.1: the end of a refresh token ends its access tokens.
        let token = session.tokens.refresh_token.as_ref().unwrap_or(&session.tokens.access_token);
        match revoke(&fetch, endpoint, &session.client, token).await {
            Ok(()) => Ok(SignedOut::Revoked),
            Err(error) => {
                tracing::warn!(%error, "the authorization server has not revoked the tokens");
                Ok(SignedOut::Deleted)
            }
        }
    }

    /// Waits for the state, and reads the file if it was not read yet.
    async fn read(&self) -> Result<MutexGuard<'_, State>, OAuthError> {
        let mut state = self.state.lock().await;
        if let Some(kept) = self.kept.as_ref().filter(|_| !state.is_read) {
            state.session = kept.read()?.filter(|session| session.url == self.url.as_str());
            state.is_read = true;
        }
        Ok(state)
    }

    fn fetch(&self, state: &mut State) -> Result<Arc<Fetch>, OAuthError> {
        if let Some(fetch) = &state.fetch {
            return Ok(Arc::clone(fetch));
        }
        let fetch = Arc::new(Fetch::new(self.url.as_str())?);
        state.fetch = Some(Arc::clone(&fetch));
        Ok(fetch)
    }

    /// Renews the tokens with the refresh token. Returns whether there are other tokens now.
    async fn renew(&self, state: &mut State) -> Result<bool, OAuthError> {
        let Some(own) = state.session.clone() else { return Ok(false) };
        let turn = match &self.kept {
            Some(kept) => Some(kept.turn().await?),
            None => None,
        };
        let kept = self.kept.as_ref().map(Kept::read).transpose()?.flatten();
        // Another program may have renewed the tokens.
        if let Some(kept) = kept.filter(|kept| kept.url == own.url && kept.tokens != own.tokens) {
            let is_due = kept.tokens.is_due(now());
            state.session = Some(kept);
            if !is_due {
                return Ok(true);
            }
        }
        let Some(session) = state.session.clone() else { return Ok(false) };
        let renewed = session.renewed(&*self.fetch(state)?, now()).await;
        match renewed {
            Ok(Some(session)) => {
                self.keep(&session)?;
                state.session = Some(session);
            }
            Ok(None) => return Ok(false),
            // The refresh token or the client has ended. The person has to sign in again.
            Err(error) if error.is_final() => {
                tracing::info!(%error, "the tokens were not renewed");
                if let Some(session) = &mut state.session {
                    session.tokens.refresh_token = None;
                    self.keep(session)?;
                }
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        drop(turn);
        Ok(true)
    }

    fn keep(&self, session: &Session) -> Result<(), OAuthError> {
        self.kept.as_ref().map_or(Ok(()), |kept| kept.write(session))
    }

    async fn current(&self) -> Result<Option<String>, OAuthError> {
        let mut state = self.read().await?;
        if state.session.as_ref().is_some_and(|session| session.is_due(now())) {
            match self.renew(&mut state).await {
                Ok(_) => {}
                // An outage matters only when the token has ended.
                Err(error) if state.session.as_ref().is_some_and(|session| session.tokens.has_ended(now())) => {
                    return Err(error);
                }
                Err(error) => tracing::warn!(%error, "the tokens could not be renewed yet"),
            }
        }
        Ok(state.session.as_ref().map(|session| session.tokens.access_token.clone()))
    }

    /// Decides after a refusal whether there is another token.
    async fn again(&self, refusal: &TokenRefusal) -> Result<bool, OAuthError> {
        let mut state = self.read().await?;
        let token = state.session.as_ref().map(|session| &session.tokens.access_token);
        if token.is_some() && token != refusal.token.as_ref() {
            // Another request has got a new token meanwhile.
            return Ok(true);
        }
        let challenge = Challenge::read(&refusal.challenge).unwrap_or_default();
        let session = state.session.clone();
        if refusal.status == 401 {
            if let Some(session) = &session {
                let is_fresh = session.is_fresh(now()) && !session.tokens.has_ended(now());
                if !is_fresh && self.renew(&mut state).await? {
                    return Ok(true);
                }
                // The person has just signed in. Only a server that has another authorization server now gets another token.
                if is_fresh && session.is_signed_in {
                    return self.sign_in(&mut state, &challenge, "", Some(&session.issuer)).await;
                }
            }
            return self.sign_in(&mut state, &challenge, "", None).await;
        }
        // MCP 2026-07-28 basic/authorization, "Step-up": the union of the scopes. A server that asks for what the token was
        // requested with would ask for ever.
        let (Some(wanted), Some(session)) = (&challenge.scope, session) else { return Ok(false) };
        let scope = with_scopes(&session.scope, wanted.split_ascii_whitespace());
        if challenge.error.as_deref() != Some("insufficient_scope") || scope == session.scope {
            return Ok(false);
        }
        self.sign_in(&mut state, &challenge, &session.scope, None).await
    }

    /// Has the person sign in, with the scopes of the challenge in addition to `before`, and at another authorization server than
    /// `except`.
    async fn sign_in(
        &self,
        state: &mut State,
        challenge: &Challenge,
        before: &str,
        except: Option<&str>,
    ) -> Result<bool, OAuthError> {
        let Some(on_page) = &self.on_page else { return Ok(false) };
        let fetch = self.fetch(state)?;
        let protected = protected(&fetch, &self.url, challenge).await?;
        let issuer = usable(&fetch, &protected).await?;
        if except == Some(&issuer.issuer) {
            return Ok(false);
        }
        if !issuer.has_pkce() {
            return Err(OAuthError::NoPkce(issuer.issuer));
        }
        let scope = self.scope(challenge, &protected, &issuer, before);
        // Entra ID refuses `resource` (AADSTS9010010): there, the scope names the resource.
        let resource = Some(protected.resource).filter(|_| !issuer.is_entra());
        let session = self.authorized(on_page, &fetch, issuer, resource, scope).await?;
        if let Some(kept) = &self.kept {
            let _turn = kept.turn().await?;
            kept.write(&session)?;
        }
        state.session = Some(session);
        Ok(true)
    }

    /// Shows the person the page, waits for the code, and exchanges it for tokens.
    async fn authorized(
        &self,
        on_page: &OnPage,
        fetch: &Fetch,
        issuer: Issuer,
        resource: Option<String>,
        scope: String,
    ) -> Result<Session, OAuthError> {
        let loopback = Loopback::bind(self.port).await?;
        let redirect_uri = loopback.redirect_uri();
        let client = register(fetch, &issuer, &self.application, &redirect_uri, &scope).await?;
        let attempt = Attempt::new()?;
        let (client_id, resource) = (client.client_id.as_str(), resource.as_deref());
        let request = Request { issuer: &issuer, client_id, redirect_uri: &redirect_uri, resource, scope: &scope };
        on_page(&issuer.issuer, request.url(&attempt)?.as_str());
        let verifier = attempt.verifier.clone();
        let code = loopback.code(attempt, issuer.clone()).await?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &redirect_uri),
            ("code_verifier", &verifier),
        ];
        form.extend(resource.map(|resource| ("resource", resource)));
        let tokens = token(fetch, &issuer.token_endpoint, &client, &form).await?;
        Ok(Session {
            url: self.url.as_str().to_owned(),
            resource: resource.map(str::to_owned),
            issuer: issuer.issuer,
            token_endpoint: issuer.token_endpoint,
            revocation_endpoint: issuer.revocation_endpoint,
            client,
            scope,
            tokens,
            obtained: now(),
            is_signed_in: true,
        })
    }

    // MCP 2025-11-25 basic/authorization, "Scope selection": the scopes of the challenge, then those of the metadata, then none.
    fn scope(&self, challenge: &Challenge, protected: &Protected, issuer: &Issuer, before: &str) -> String {
        let wanted: Vec<&str> = match &challenge.scope {
            Some(scope) => scope.split_ascii_whitespace().collect(),
            None => protected.scopes_supported.iter().map(String::as_str).collect(),
        };
        let own = self.scopes.iter().map(String::as_str);
        let scope = with_scopes(before, wanted.into_iter().chain(own));
        // MCP 2026-07-28 basic/authorization: only if the authorization server lists it.
        match issuer.has_offline_access() {
            true => with_scopes(&scope, ["offline_access"]),
            false => scope,
        }
    }
}

/// Returns the first authorization server of a resource that has metadata.
async fn usable(fetch: &Fetch, protected: &Protected) -> Result<Issuer, OAuthError> {
    let mut first = OAuthError::NoResourceMetadata(protected.resource.clone());
    for (number, name) in protected.authorization_servers.iter().enumerate() {
        match issuer(fetch, name).await {
            Ok(issuer) => return Ok(issuer),
            Err(error) if number == 0 => first = error,
            Err(_) => {}
        }
    }
    Err(first)
}

impl TokenSource for SignIn {
    fn token(&self) -> TokenFuture<'_, Option<String>> {
        Box::pin(async { Ok(self.current().await?) })
    }

    fn refused<'f>(&'f self, refusal: &'f TokenRefusal) -> TokenFuture<'f, bool> {
        Box::pin(async { Ok(self.again(refusal).await?) })
    }
}

impl From<OAuthError> for Error {
    fn from(error: OAuthError) -> Self {
        Self::OAuth(error)
    }
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}
