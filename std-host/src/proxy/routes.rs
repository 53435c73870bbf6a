//! The access checks in front of a proxy, which may differ by path.

use super::path::is_ambiguous;
use super::pattern::RoutePattern;
use super::refused::Refused;
use super::service::Proxy;
use crate::http::{Door, Guarded};
use axum::body::Body;
use core::convert::Infallible;
use core::pin::Pin;
use core::task::{Context, Poll};
use http::{Request, Response};
use http_body_util::Either;
use percent_encoding::percent_decode_str;
use std::sync::Arc;
use tower_service::Service;

/// A proxy behind access checks. A path that two programs may read in two ways is refused wherever the checks differ by path, so that
/// the path that was checked is the path that the application reads.
#[derive(Clone, Debug)]
pub struct Routes {
    routes: Arc<Vec<Route>>,
    rest: Option<Guarded<Proxy>>,
}

#[derive(Clone, Debug)]
struct Route {
    pattern: RoutePattern,
    service: Guarded<Proxy>,
}

impl Routes {
    /// All paths of the application, behind this door.
    pub fn new(proxy: Proxy, door: Door) -> Self {
        Self { routes: Arc::default(), rest: Some(door.lent().layer(proxy)) }
    }

    /// No path of the application until one is added with [`add`](Self::add).
    pub fn none() -> Self {
        Self { routes: Arc::default(), rest: None }
    }

    /// Puts another door in front of the paths that match a pattern. The most specific pattern counts: literals before parameters
    /// before wildcards, whatever the order.
    ///
    /// # Panics
    /// If there is no path yet. Use [`add`](Self::add) then.
    #[must_use]
    pub fn route(self, pattern: RoutePattern, door: Door) -> Self {
        let proxy = self.rest.as_ref().map(|rest| rest.inner().clone()).expect("a proxy with paths");
        self.add(pattern, proxy, door)
    }

    /// Adds the paths that match a pattern, with a proxy and a door of their own.
    #[must_use]
    pub fn add(mut self, pattern: RoutePattern, proxy: Proxy, door: Door) -> Self {
        let routes = Arc::make_mut(&mut self.routes);
        routes.push(Route { pattern, service: door.lent().layer(proxy) });
        routes.sort_by(|one, other| one.pattern.order(&other.pattern));
        self
    }

    /// Finds the checks for a path.
    fn find(&self, path: &str) -> Result<&Guarded<Proxy>, Refused> {
        let rest = self.rest.as_ref().ok_or(Refused::NotServed);
        if self.routes.is_empty() {
            return rest;
        }
        if is_ambiguous(path) {
            return Err(Refused::Ambiguous);
        }
        let path = percent_decode_str(path).decode_utf8().map_err(|_| Refused::Ambiguous)?;
        let find = |is_same: fn(&str, &str) -> bool| {
            self.routes.iter().position(|route| route.pattern.matches(&path, is_same))
        };
        let found = find(|one, other| one == other);
        // Some applications take `/Admin` for `/admin`, and others do not.
        if found != find(|one, other| one.to_lowercase() == other.to_lowercase()) {
            return Err(Refused::Ambiguous);
        }
        match found.and_then(|found| self.routes.get(found)) {
            Some(route) => Ok(&route.service),
            None => rest,
        }
    }
}

impl Service<Request<Body>> for Routes {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut service = match self.find(request.uri().path()) {
            Ok(service) => service.clone(),
            Err(refused) => return Box::pin(core::future::ready(Ok(refused.answer(request.version())))),
        };
        Box::pin(async move {
            let response = service.call(request).await?;
            Ok(response.map(|body| match body {
                Either::Left(own) => Body::new(own),
                Either::Right(body) => body,
            }))
        })
    }
}
