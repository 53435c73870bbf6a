//! `mode = "proxy"`: an HTTP application behind the access checks.

use super::{Backend, Layers, Place, value};
use crate::fault::{Fault, Faults, Origin};
use attache_host::functions::AppBuilder;
use attache_host::proxy::RoutePattern;
use core::time::Duration;
use serde_json::{Value, json};
use toml::de::{DeTable, DeValue};

/// The settings of a server that is a proxy.
#[derive(Debug)]
pub(crate) struct ProxyConfig {
    pub(crate) routes: Vec<RouteRule>,
    pub(crate) mcp_paths: Vec<RoutePattern>,
    pub(crate) idle_time: Duration,
    pub(crate) upgrades: Upgrades,
    pub(crate) pass_authorization: bool,
    pub(crate) pass_host: bool,
    /// The function app whose handler is the application, instead of a backend.
    pub(crate) app: Option<AppBuilder>,
}

impl ProxyConfig {
    /// The most specific rule for a path.
    pub(crate) fn rule_of(&self, path: &str) -> Option<&RouteRule> {
        let rules = self.routes.iter().filter(|rule| rule.pattern.covers(path));
        rules.min_by(|one, other| one.pattern.order(&other.pattern))
    }
}

/// Where clients may change the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upgrades {
    ExceptMcp,
    Everywhere,
    Nowhere,
}

/// The credentials that callers of some paths need.
#[derive(Clone, Debug)]
pub(crate) struct RouteRule {
    pub(crate) pattern: RoutePattern,
    pub(crate) access: RouteAccess,
    /// Scopes that tokens need, in addition.
    pub(crate) scopes: Vec<String>,
    pub(crate) origin: Origin,
}

/// The credentials for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RouteAccess {
    /// Those of the server.
    Server,
    /// None.
    Public,
    /// No key. Where the server accepts tokens, a token.
    NoKey,
    /// A key of level `function`, as well as a token where the server asks for both.
    Function,
    /// The master key, as well as a token where the server asks for both.
    Admin,
}

/// Reads the tables `[[server.route]]` of one server.
pub(super) fn read_routes(
    value: &DeValue<'_>,
    at: usize,
    origin: &impl Fn(usize) -> Origin,
    faults: &mut Faults,
) -> Vec<RouteRule> {
    const NOT_A_ROUTE: &str = "write [[server.route]], with two brackets";
    let DeValue::Array(tables) = value else {
        faults.add(Fault::at(origin(at), NOT_A_ROUTE.to_owned()));
        return Vec::new();
    };
    let mut routes: Vec<RouteRule> = Vec::new();
    for table in tables.iter() {
        let place = origin(table.span().start);
        let read = match table.get_ref() {
            DeValue::Table(table) => one(table, place.clone()),
            _ => Err(NOT_A_ROUTE.to_owned()),
        };
        match read {
            Ok(rule) if routes.iter().any(|known| known.pattern == rule.pattern) => {
                faults.add(Fault::at(place, format!("there are two routes {}: remove one of them", rule.pattern)));
            }
            Ok(rule) => routes.push(rule),
            Err(what) => faults.add(Fault::at(place, what)),
        }
    }
    routes
}

fn one(table: &DeTable<'_>, origin: Origin) -> Result<RouteRule, String> {
    let (mut pattern, mut access, mut scopes) = (None, RouteAccess::Server, Vec::new());
    for (key, value) in table.iter() {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("path", DeValue::String(text)) => {
                pattern = Some(RoutePattern::parse(text).map_err(|error| error.to_string())?);
            }
            ("level", DeValue::String(text)) => {
                access = match text.as_ref() {
                    "anonymous" => RouteAccess::Public,
                    "function" => RouteAccess::Function,
                    "admin" => RouteAccess::Admin,
                    other => return Err(format!("level {other:?} must be anonymous, function or admin")),
                }
            }
            ("scopes", DeValue::Array(words)) => {
                let word = |word: &toml::Spanned<DeValue<'_>>| word.get_ref().as_str().map(str::to_owned);
                scopes = words.iter().map(word).collect::<Option<_>>().ok_or("scopes must be an array of texts")?;
            }
            ("path" | "level", _) => return Err(format!("{} must be a text", key.get_ref())),
            ("scopes", _) => return Err("scopes must be an array of texts".to_owned()),
            (other, _) => {
                return Err(format!("there is no setting {other} of a route: choose from path, level, scopes"));
            }
        }
    }
    let pattern = pattern.ok_or("a route needs a path, such as path = \"/admin/*\"")?;
    if access == RouteAccess::Public && !scopes.is_empty() {
        return Err(format!("the route {pattern} has level anonymous and scopes: remove one of them"));
    }
    Ok(RouteRule { pattern, access, scopes, origin })
}

/// The schema of the tables.
pub(super) fn schema() -> Value {
    json!({
        "type": "array",
        "description": "With mode = \"proxy\": paths whose callers need other credentials; the most specific path counts",
        "items": {
            "type": "object",
            "additionalProperties": false,
            "required": ["path"],
            "properties": {
                "path": {"type": "string", "description": "A path such as /status, or /admin/* for everything below /admin"},
                "level": {
                    "enum": ["anonymous", "function", "admin"],
                    "description": "anonymous: no credentials. function: a host key. admin: the master key. Unset: as the server",
                },
                "scopes": {"type": "array", "items": {"type": "string"}, "description": "Scopes that tokens need"},
            },
        },
    })
}

impl Layers {
    /// The settings of a proxy. `None` for an MCP server.
    ///
    /// # Errors
    /// All settings that have no use in the mode of the server, and all that are missing.
    pub(super) fn proxy(&self, server: Option<usize>, backends: &[Backend]) -> Result<Option<ProxyConfig>, Fault> {
        let text = |key: &str| self.given(key, server).texts.into_iter().next().unwrap_or_default();
        let fault = |key: &str, what: &str| Fault::at(self.given(key, server).origin, what.to_owned());
        let routes = self.routes(server);
        if text("mode") != "proxy" {
            return match routes.first() {
                Some(route) => {
                    Err(Fault::at(route.origin.clone(), "[[server.route]] needs mode = \"proxy\"".to_owned()))
                }
                None => Ok(None),
            };
        }
        let mut faults = Faults::default();
        match backends {
            [backend] => faults.or_default(backend.check_proxied()),
            _ => faults.add(fault(
                "mode",
                "mode = \"proxy\" needs one [[server.backend]], with a url, or a command and a url",
            )),
        }
        let has_mcp_paths = !self.given("upstream.mcp_paths", server).texts.is_empty();
        if !self.rules(server).is_empty() && !has_mcp_paths {
            faults.add(fault("mode", "a policy with mode = \"proxy\" needs upstream.mcp_paths, such as [\"/mcp\"]"));
        }
        faults.end()?;
        self.proxy_settings(server, routes).map(Some)
    }

    /// The settings of a proxy with these routes.
    ///
    /// # Errors
    /// If a path is not one.
    pub(crate) fn proxy_settings(&self, server: Option<usize>, routes: Vec<RouteRule>) -> Result<ProxyConfig, Fault> {
        let text = |key: &str| self.given(key, server).texts.into_iter().next().unwrap_or_default();
        let given = self.given("upstream.mcp_paths", server);
        let fault = |error| Fault::at(given.origin.clone(), format!("upstream.mcp_paths: {error}"));
        let mcp_paths = given.texts.iter().map(|text| RoutePattern::parse(text).map_err(fault));
        Ok(ProxyConfig {
            routes,
            mcp_paths: mcp_paths.collect::<Result<_, _>>()?,
            idle_time: value::time(&text("upstream.timeout")).unwrap_or(attache_host::proxy::limits::IDLE_TIME),
            upgrades: match text("upstream.upgrades").as_str() {
                "on" => Upgrades::Everywhere,
                "off" => Upgrades::Nowhere,
                _ => Upgrades::ExceptMcp,
            },
            pass_authorization: text("upstream.pass_authorization") == "true",
            pass_host: text("upstream.pass_host") == "true",
            app: None,
        })
    }
}

impl Backend {
    /// Checks that a proxy can use the backend, and refuses settings that a proxy has no use for.
    fn check_proxied(&self) -> Result<(), Fault> {
        let is_http = matches!(self.place, Place::Url { old_transport: false, .. } | Place::Served { .. });
        if !is_http {
            return Err(self.fault("mode = \"proxy\" needs a url, or a command and a url"));
        }
        let unused = [
            (!self.prefix.is_empty(), "prefix"),
            (self.token_file.is_some(), "token_file"),
            (self.version.is_some(), "revision"),
            (self.keeps_entries, "when_down"),
            (!self.rules.is_empty(), "a policy (allow, deny, scopes, roles, read_only)"),
            (self.children.has_more_than_caps(), "a setting of calls, such as per, idle or back_off"),
        ];
        match unused.iter().find(|(is_set, _)| *is_set) {
            Some((_, what)) => Err(self.fault(&format!("{what} has no use with mode = \"proxy\": remove it"))),
            None => self.app_url().map(drop),
        }
    }
}
