//! Sign-in at GitHub, which has OAuth 2.0 without ID tokens: its API says who the holder of an access token is
//! (docs.github.com, "Authorizing OAuth apps").

use super::{Failed, Identity, Upstream};
use crate::auth::InvalidIssuer;
use crate::auth::fetch::{Client, Metadata};
use serde::Deserialize;
use serde_json::{Map, json};
use tokio::time::timeout;

/// The user of an access token.
#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    name: Option<String>,
}

/// The answer to the question whether a token was issued to this application.
#[derive(Deserialize)]
struct Checked {
    user: User,
}

impl Upstream {
    /// Creates the sign-in at GitHub for the OAuth application `client_id`. `web` is `https://github.com` and `api` is
    /// `https://api.github.com`, or the URLs of another installation.
    ///
    /// # Errors
    /// [`InvalidIssuer`] if a URL is neither an `https` URL nor an `http` URL of this machine.
    pub fn github(web: &str, api: &str, client_id: &str) -> Result<Self, InvalidIssuer> {
        let upstream = Self::new(web, client_id)?;
        if !upstream.reach.allows(api) {
            return Err(InvalidIssuer { issuer: api.to_owned() });
        }
        let endpoints = Metadata::of(format!("{web}/login/oauth/authorize"), format!("{web}/login/oauth/access_token"));
        Ok(Self {
            scopes: vec!["read:user".to_owned()],
            fixed: Some(endpoints.into()),
            api: Some(api.to_owned()),
            ..upstream
        })
    }

    /// Returns the person to whom an access token belongs that was just issued to this server.
    pub(super) async fn user(&self, api: &str, access_token: &str) -> Result<Identity, Failed> {
        let body = self.ask(&format!("{api}/user"), &format!("Bearer {access_token}"), None).await?;
        serde_json::from_slice(&body).map(|user| self.identity_of(user)).map_err(|_| unreadable())
    }

    /// Returns the person to whom an access token of unknown origin belongs, if it was issued to this application. Otherwise any
    /// application at which a person has signed in could sign in here as that person.
    pub(super) async fn checked_user(&self, api: &str, access_token: &str) -> Result<Identity, Failed> {
        let secret = self.client_secret.as_deref().unwrap_or_default();
        let url = format!("{api}/applications/{}/token", self.client_id);
        let body = json!({ "access_token": access_token }).to_string();
        let body = self.ask(&url, &self.basic(secret), Some(body)).await?;
        serde_json::from_slice(&body).map(|Checked { user }| self.identity_of(user)).map_err(|_| unreadable())
    }

    async fn ask(&self, url: &str, authorization: &str, json: Option<String>) -> Result<Vec<u8>, Failed> {
        let client = Client::new(&self.reach)?;
        let answer = timeout(crate::limits::FETCH_TIME, client.call(url, authorization, json)).await;
        match answer.unwrap_or(Err(crate::auth::fetch::Unfetched::TooSlow))? {
            (200, body) => Ok(body),
            (401 | 404 | 422, _) => Err(Failed::Code),
            (status, _) => Err(Failed::Unavailable(format!("its API answers with {status}"))),
        }
    }

    fn identity_of(&self, User { id, login, name }: User) -> Identity {
        let claims = Map::from_iter([("preferred_username".to_owned(), json!(login))]);
        let name = name.filter(|name| !name.is_empty()).or(Some(login));
        // A login can be renamed and taken by another person; the number stays.
        Identity { issuer: self.issuer.clone(), subject: id.to_string(), name, claims }
    }
}

fn unreadable() -> Failed {
    Failed::Unavailable("its API describes no user".to_owned())
}
