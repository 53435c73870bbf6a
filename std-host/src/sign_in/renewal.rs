//! Renews the cookies of sessions that are used.

use super::SignIn;
use super::own_page::may_use_cookie;
use crate::authorization_server::seals::claimed_expiry;
use crate::clock::now;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use std::sync::Arc;

/// Serves a request, and sets a new cookie if more than half of the life of its session has passed.
pub(super) async fn renew(State(sign_in): State<Arc<SignIn>>, request: Request, next: Next) -> Response {
    let due = due(&sign_in, &request);
    let mut response = next.run(request).await;
    if let Some(cookies) = due
        && may_set(response.headers())
    {
        for cookie in cookies {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    response
}

/// The fields that set the new cookie, if one is due. Only a session that this process has checked is renewed.
fn due(sign_in: &SignIn, request: &Request) -> Option<Vec<HeaderValue>> {
    let headers = request.headers();
    let sealed = sign_in.cookie().value(headers)?;
    let now = now();
    // No cookie lives longer than this, so most requests end here.
    if claimed_expiry(&sealed)?.saturating_sub(now) > sign_in.life.as_secs() / 2 {
        return None;
    }
    let seen = sign_in.cache.get(sealed.as_bytes())?;
    let [begun, end] = [seen.verified().issued(), seen.verified().expires()];
    if now <= begun + end.saturating_sub(begun) / 2 || now >= end || sign_in.ends_with_token {
        return None;
    }
    if !may_use_cookie(request.method(), headers, &sign_in.origin) {
        return None;
    }
    let renewed = sign_in.open(&sealed, now)?.renewed(sign_in, now);
    // At the end of its longest life, a session is not renewed.
    let is_longer = renewed.exp > end;
    sign_in.cookie().set(&sign_in.seal(&renewed).filter(|_| is_longer)?, renewed.exp - now, headers)
}

/// Whether the answer may have a cookie: an answer of a sign-in or a sign-out has its own, and an answer that caches share must have
/// none.
fn may_set(headers: &HeaderMap) -> bool {
    let caching = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    !headers.contains_key(SET_COOKIE) && !caching.contains("public") && !caching.contains("s-maxage")
}

#[cfg(test)]
mod tests {
    use super::super::session::SignedIn;
    use super::super::{Provider, SignIn};
    use super::*;
    use crate::auth::sessions::{Session, Sessions as _};
    use crate::provider::Upstream;
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use http::header::{CACHE_CONTROL, COOKIE};
    use serde_json::Map;
    use tower_service::Service as _;

    const HOUR: u64 = 3600;

    fn sign_in(keys: &[[u8; 32]]) -> Arc<SignIn> {
        let provider = Provider::new("a", Upstream::new("https://id.example", "gw").expect("an issuer"));
        Arc::new(SignIn::new("https://gw.example", keys, [provider]).expect("valid"))
    }

    /// The cookie of a session that has begun so long ago, and whose cookie is so old.
    fn cookie(sign_in: &SignIn, since: u64, age: u64) -> String {
        let person = Map::from_iter(["iss", "aud", "sub"].map(|name| (name.to_owned(), "x".into())));
        let (auth_time, iat) = (now() - since, now() - age);
        let session = SignedIn { idp: "a".to_owned(), sid: String::new(), auth_time, iat, exp: iat, person };
        let session = session.renewed(sign_in, iat);
        let cookies = sign_in.cookie().set(&sign_in.seal(&session).expect("it fits"), 1, &HeaderMap::new());
        cookies.expect("it fits")[0].to_str().expect("text").split(';').next().expect("a pair").to_owned()
    }

    /// The answer of a page to a browser with this cookie.
    async fn answer(sign_in: &Arc<SignIn>, cookie: &str, caching: &'static str) -> Response {
        let page = async move || match caching {
            "" => Response::new(Body::empty()),
            caching => Response::builder().header(CACHE_CONTROL, caching).body(Body::empty()).expect("an answer"),
        };
        let request = Request::get("/").header(COOKIE, cookie).body(Body::empty()).expect("a request");
        let (head, body) = request.into_parts();
        // The access checks have checked the session.
        if let Session::Unknown(check) = sign_in.find(&head) {
            let _ = check.await;
        }
        let mut router = sign_in.around(Router::new().route("/", get(page)));
        router.call(Request::from_parts(head, body)).await.expect("an answer")
    }

    #[tokio::test]
    async fn cookie_is_renewed_in_the_second_half_of_its_life_and_not_beyond_the_longest_life() {
        let sign_in = sign_in(&[[1; 32]]);
        for (since, age, caching, expected) in [
            (HOUR, HOUR, "", None),
            (3 * HOUR, 3 * HOUR, "", None),
            (5 * HOUR, 5 * HOUR, "", Some(8 * HOUR)),
            (5 * HOUR, 5 * HOUR, "private", Some(8 * HOUR)),
            (5 * HOUR, 5 * HOUR, "public, max-age=60", None),
            (69 * HOUR, 5 * HOUR, "", None),
            (67 * HOUR, 5 * HOUR, "", Some(5 * HOUR)),
            (9 * HOUR, 9 * HOUR, "", None),
        ] {
            let answer = answer(&sign_in, &cookie(&sign_in, since, age), caching).await;
            let field = |name| answer.headers().get(name).map(|value: &HeaderValue| value.to_str().expect("text"));
            let life =
                field(SET_COOKIE).map(|cookie| cookie.split("Max-Age=").nth(1).and_then(|rest| rest.split(';').next()));
            let life = life.map(|life| life.and_then(|life| life.parse::<u64>().ok()).expect("a life"));
            assert!(life.is_some() == expected.is_some(), "{since} {age} {caching}: {life:?}");
            assert!(
                life.zip(expected).is_none_or(|(life, expected)| life.abs_diff(expected) <= 5),
                "{since} {age}: {life:?}"
            );
            if expected.is_some() && caching.is_empty() {
                assert_eq!(field(CACHE_CONTROL), Some("no-store"));
            }
        }
    }

    #[tokio::test]
    async fn cookie_of_an_old_key_is_renewed_with_the_new_one() {
        let (old, both, new) = (sign_in(&[[1; 32]]), sign_in(&[[2; 32], [1; 32]]), sign_in(&[[2; 32]]));
        let answer = answer(&both, &cookie(&old, 5 * HOUR, 5 * HOUR), "").await;
        let renewed = answer.headers()[SET_COOKIE].to_str().expect("text").split(';').next().expect("a pair");
        let head = Request::get("/").header(COOKIE, renewed).body(()).expect("a request").into_parts().0;
        assert!(new.session(&head).await.is_ok_and(|session| session.is_some()));
    }
}
