//! Function apps whose custom handler is a server of its own: a proxy in front of the handler.

use crate::config::{Config, Layers, RouteAccess, RouteRule};
use crate::fault::{Fault, Origin};
use crate::problem::Problem;
use attache_core::auth::{Access, Gate};
use attache_host::functions::{AppBuilder, HttpLevel};
use attache_host::proxy::RoutePattern;
use std::path::Path;

/// The path at which servers of the official SDKs listen.
pub(super) const MCP_PATH: &str = "/mcp";

/// The configuration of the proxy for an app with these routes.
pub(super) fn config(
    layers: Layers,
    directory: &Path,
    app: &AppBuilder,
    routes: &[(String, HttpLevel)],
) -> Result<Config, Problem> {
    let defaults = [("path", "/"), ("auth.key_level", "function"), ("upstream.mcp_paths", MCP_PATH)];
    let layers = super::with_defaults(layers, directory, app.host(), &defaults)?;
    let mut config = layers.config()?;
    let is_local = config.listen.is_local();
    let [server] = config.servers.as_mut_slice() else {
        return Err(Fault::of(super::ONE_SERVER.to_owned()).into());
    };
    if server.path != "/" {
        let what = "the handler of a function app gets all paths: remove path".to_owned();
        return Err(Fault::at(server.path_origin().clone(), what).into());
    }
    let number = (layers.servers() > 0).then_some(0);
    let mut proxy = layers.proxy_settings(number, rules(routes)?)?;
    proxy.app = Some(app.clone());
    let needs_no_key = proxy.routes.iter().all(|rule| rule.access == RouteAccess::NoKey);
    let protection = &mut server.protection;
    if !protection.asks() && protection.gate.is_none() && !is_local {
        if !needs_no_key {
            return Err(Fault::of(NEEDS_KEY.to_owned()).into());
        }
        protection.gate = Some(Gate::Open(Access::Anonymous));
    }
    server.proxy = Some(proxy);
    Ok(config)
}

const NEEDS_KEY: &str = "host.json asks for a host key (customHandler.http.defaultAuthorizationLevel), and there is no key: run \
                         attache key add default --keys-file KEYS, and give --auth-keys-file KEYS. To serve without a key, set the \
                         level to anonymous";

fn rules(routes: &[(String, HttpLevel)]) -> Result<Vec<RouteRule>, Fault> {
    let rule = |(route, level): &(String, HttpLevel)| {
        let fault = |what: String| Fault::of(format!("host.json: customHandler.http.routes: {what}"));
        let pattern = RoutePattern::parse(route).map_err(|error| fault(error.to_string()))?;
        let access = match level {
            HttpLevel::Anonymous => RouteAccess::NoKey,
            HttpLevel::Function => RouteAccess::Function,
            HttpLevel::Admin => RouteAccess::Admin,
        };
        Ok(RouteRule { pattern, access, scopes: Vec::new(), origin: Origin::Default })
    };
    let rules: Vec<RouteRule> = routes.iter().map(rule).collect::<Result<_, Fault>>()?;
    for (number, rule) in rules.iter().enumerate() {
        if rules.iter().take(number).any(|other| other.pattern == rule.pattern) {
            return Err(Fault::of(format!("host.json: customHandler.http.routes has {} twice", rule.pattern)));
        }
    }
    Ok(rules)
}
