//! The files that configure a function app: `host.json` and `local.settings.json`.

use super::http_trigger::HttpLevel;
use super::limits::FILE;
use core::fmt;
use core::time::Duration;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Why the files of an app cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum InvalidApp {
    /// A file cannot be read.
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
    /// A file is not what it should be.
    Malformed {
        /// The file.
        file: PathBuf,
        /// The fault, with the key.
        what: String,
    },
    /// `local.settings.json` is encrypted.
    Encrypted(PathBuf),
    /// The directory has no function app.
    NoApp(PathBuf),
    /// There is no worker or interpreter for the language of the app.
    NoWorker {
        /// The language.
        language: String,
        /// The missing program or wrong setting, and the advice.
        what: String,
    },
}

impl fmt::Display for InvalidApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, error } => write!(f, "{}: cannot be read: {error}", file.display()),
            Self::Malformed { file, what } => write!(f, "{}: {what}", file.display()),
            Self::Encrypted(file) => write!(
                f,
                "{}: the values are encrypted (IsEncrypted), and only the platform's tools on the machine that wrote them can \
                 read them: run `func settings decrypt` there",
                file.display()
            ),
            Self::NoApp(directory) => write!(
                f,
                "{} is not a function app: it has no host.json with one of function_app.py (Python), package.json (Node.js), \
                 worker.config.json (.NET build output) or customHandler. Make an app with: attache functions new --python DIR",
                directory.display()
            ),
            Self::NoWorker { language, what } => write!(f, "a {language} app cannot be run here: {what}"),
        }
    }
}

impl core::error::Error for InvalidApp {}

/// The settings of `host.json` that this host uses.
#[derive(Clone, Debug, Default)]
pub struct HostFile {
    /// `extensions.mcp.serverName`
    pub server_name: Option<String>,
    /// `extensions.mcp.serverVersion`
    pub server_version: Option<String>,
    /// `extensions.mcp.instructions`
    pub instructions: Option<String>,
    /// Whether `extensions.mcp.system.webhookAuthorizationLevel` is `Anonymous`, so that callers need no key.
    pub is_anonymous: bool,
    /// `functionTimeout`: the timeout of a call.
    pub timeout: Option<Duration>,
    /// `customHandler`
    pub(super) custom: Option<CustomHandler>,
    /// `extensions.http.routePrefix`
    route_prefix: Option<String>,
    /// `logging.logLevel`: the least severe level by category or prefix of a category.
    pub(super) log_levels: Vec<(String, i32)>,
    /// Keys that have no effect here.
    pub ignored: Vec<String>,
}

impl HostFile {
    /// Reads `host.json` of a directory. A missing file is an empty one.
    ///
    /// # Errors
    /// If the file is not JSON, or a value is none of those that its key can have.
    pub fn read(directory: &Path) -> Result<Self, InvalidApp> {
        let file = directory.join("host.json");
        let mut root = object(&file)?.unwrap_or_default();
        overlay(&mut root, std::env::vars());
        Self::of(&root).map_err(|what| InvalidApp::Malformed { file, what })
    }

    /// The prefix of all routes of HTTP triggers, such as `/api`; empty if there is none.
    pub(super) fn prefix(&self) -> String {
        match self.route_prefix.as_deref().unwrap_or("api").trim_matches('/') {
            "" => String::new(),
            prefix => format!("/{prefix}"),
        }
    }

    fn of(root: &Map<String, Value>) -> Result<Self, String> {
        let (mut host, mut has_profile) = (Self::default(), false);
        for (key, value) in root {
            match key.to_ascii_lowercase().as_str() {
                "version" => {
                    if value.as_str() != Some("2.0") {
                        return Err(format!("version is {value}; only \"2.0\" is supported"));
                    }
                }
                "extensionbundle" => {}
                "logging" => host.logging(value)?,
                "functiontimeout" => host.timeout = timespan(value)?,
                "customhandler" => host.custom = Some(CustomHandler::of(value)?),
                "configurationprofile" => has_profile = is_profile(value)?,
                "extensions" => host.extensions(value)?,
                _ => host.ignored.push(format!("host.json: {key} has no effect")),
            }
        }
        if has_profile {
            // The settings of the profile, unless the file says otherwise.
            host.custom.as_mut().ok_or("configurationProfile needs a customHandler")?.use_profile();
            host.route_prefix.get_or_insert_default();
        }
        host.custom.as_ref().map_or(Ok(()), CustomHandler::check_routes)?;
        Ok(host)
    }

    /// The routes of a custom handler that is a server of its own, with the prefix of all routes. `None` if the functions of the app
    /// are called one by one.
    pub fn handler_routes(&self) -> Option<Vec<(String, HttpLevel)>> {
        let http = &self.custom.as_ref().filter(|custom| custom.is_proxied)?.http;
        let route = |(route, level): &(String, Option<HttpLevel>)| {
            (format!("{}/{}", self.prefix(), route.trim_start_matches('/')), level.unwrap_or(http.level))
        };
        Some(http.routes.iter().map(route).collect())
    }

    fn logging(&mut self, value: &Value) -> Result<(), String> {
        for (key, value) in value.as_object().into_iter().flatten() {
            match (key.to_ascii_lowercase().as_str(), value) {
                ("loglevel", Value::Object(levels)) => {
                    for (category, level) in levels {
                        let level = level.as_str().and_then(log_level);
                        let level = level.ok_or_else(|| {
                            format!("logging.logLevel.{category} must be a level such as Information")
                        })?;
                        self.log_levels.push((category.clone(), level));
                    }
                }
                _ => self.ignored.push(format!("host.json: logging.{key} has no effect")),
            }
        }
        Ok(())
    }

    fn extensions(&mut self, value: &Value) -> Result<(), String> {
        for (name, extension) in value.as_object().into_iter().flatten() {
            match (name.to_ascii_lowercase().as_str(), extension) {
                ("mcp", Value::Object(mcp)) => self.mcp(mcp)?,
                ("mcp", _) => return Err("extensions.mcp must be an object".to_owned()),
                ("http", extension) => {
                    self.route_prefix = member(extension, "routePrefix").and_then(Value::as_str).map(str::to_owned);
                }
                _ => self.ignored.push(format!("host.json: extensions.{name} has no effect")),
            }
        }
        Ok(())
    }

    fn mcp(&mut self, mcp: &Map<String, Value>) -> Result<(), String> {
        for (key, value) in mcp {
            let text = || match value {
                Value::String(text) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
                Value::Null => Ok(None),
                _ => Err(format!("extensions.mcp.{key} must be a text")),
            };
            match key.to_ascii_lowercase().as_str() {
                "servername" => self.server_name = text()?,
                "serverversion" => self.server_version = text()?,
                "instructions" => self.instructions = text()?,
                "system" => self.system(value)?,
                // Session ids are always sealed here, and there is no transport with messages of its own.
                "encryptclientstate" | "messageoptions" => {}
                _ => self.ignored.push(format!("host.json: extensions.mcp.{key} has no effect")),
            }
        }
        Ok(())
    }

    fn system(&mut self, value: &Value) -> Result<(), String> {
        let system = value.as_object().ok_or("extensions.mcp.system must be an object")?;
        for (key, value) in system {
            if !key.eq_ignore_ascii_case("webhookAuthorizationLevel") {
                self.ignored.push(format!("host.json: extensions.mcp.system.{key} has no effect"));
                continue;
            }
            self.is_anonymous = match value.as_str().unwrap_or_default().to_ascii_lowercase().as_str() {
                "system" => false,
                "anonymous" => true,
                _ => {
                    return Err(format!(
                        "extensions.mcp.system.webhookAuthorizationLevel is {value}; it must be \"System\" or \"Anonymous\""
                    ));
                }
            };
        }
        Ok(())
    }
}

/// The number of a log level.
fn log_level(name: &str) -> Option<i32> {
    let levels = ["trace", "debug", "information", "warning", "error", "critical", "none"];
    let number = levels.iter().position(|level| name.eq_ignore_ascii_case(level))?;
    i32::try_from(number).ok()
}

/// A member of an object, the names of which may have any case.
fn member<'v>(value: &'v Value, wanted: &str) -> Option<&'v Value> {
    value.as_object()?.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
}

/// Sets the values of `AzureFunctionsJobHost__A__B` variables in the file. The level of the webhook is not among them: a
/// variable must not open a server that the file closes.
fn overlay(root: &mut Map<String, Value>, variables: impl Iterator<Item = (String, String)>) {
    for (name, text) in variables {
        let Some(path) = name.strip_prefix("AzureFunctionsJobHost__") else { continue };
        if path.to_ascii_lowercase().ends_with("webhookauthorizationlevel") {
            continue;
        }
        let mut parts = path.split("__").peekable();
        let mut at = &mut *root;
        while let Some(part) = parts.next() {
            let known = at.keys().find(|key| key.eq_ignore_ascii_case(part)).cloned();
            let place = at.entry(known.unwrap_or_else(|| part.to_owned())).or_insert(Value::Null);
            if parts.peek().is_none() {
                *place = text.clone().into();
                break;
            }
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            let Value::Object(inner) = place else { break };
            at = inner;
        }
    }
}

/// The executable that gets each call as an HTTP request.
#[derive(Clone, Debug, Default)]
pub(super) struct CustomHandler {
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
    pub(super) directory: String,
    pub(super) port: Option<u16>,
    /// Whether it gets requests as they are.
    is_proxied: bool,
    http: HandlerHttp,
}

/// `customHandler.http`
#[derive(Clone, Debug)]
struct HandlerHttp {
    level: HttpLevel,
    /// Each route with a level of its own if it has one.
    routes: Vec<(String, Option<HttpLevel>)>,
}

impl Default for HandlerHttp {
    fn default() -> Self {
        Self { level: HttpLevel::Function, routes: Vec::new() }
    }
}

impl HandlerHttp {
    fn of(value: &Value) -> Result<Self, String> {
        let mut http = Self::default();
        for (key, value) in value.as_object().ok_or("customHandler.http must be an object")? {
            match key.to_ascii_lowercase().as_str() {
                "defaultauthorizationlevel" => http.level = level(&format!("customHandler.http.{key}"), value)?,
                "routes" => {
                    let routes = value.as_array().ok_or("customHandler.http.routes must be an array")?;
                    http.routes = routes.iter().map(route).collect::<Result<_, _>>()?;
                }
                // One page of the platform names the switch so; enableProxyingHttpRequest is what its host reads.
                "enableproxying" => {}
                _ => {
                    return Err(format!(
                        "customHandler.http.{key} is not known: write defaultAuthorizationLevel or routes"
                    ));
                }
            }
        }
        Ok(http)
    }
}

fn route(value: &Value) -> Result<(String, Option<HttpLevel>), String> {
    let path = member(value, "route").and_then(Value::as_str);
    let path = path.ok_or("customHandler.http.routes: each entry needs a route, such as {\"route\": \"{*route}\"}")?;
    let own = member(value, "authorizationLevel").map(|own| level(&format!("authorizationLevel of {path}"), own));
    Ok((path.to_owned(), own.transpose()?))
}

fn level(key: &str, value: &Value) -> Result<HttpLevel, String> {
    match value.as_str().unwrap_or_default().to_ascii_lowercase().as_str() {
        "anonymous" => Ok(HttpLevel::Anonymous),
        "function" => Ok(HttpLevel::Function),
        "admin" => Ok(HttpLevel::Admin),
        _ => Err(format!("{key} is {value}; it must be anonymous, function or admin")),
    }
}

/// Whether the profile makes the custom handler a server of its own.
fn is_profile(value: &Value) -> Result<bool, String> {
    match value.as_str().unwrap_or_default().to_ascii_lowercase().as_str() {
        "" if value.is_null() || value == "" => Ok(false),
        "mcp-custom-handler" | "web-app-custom-handler" => Ok(true),
        _ => Err(format!("configurationProfile {value} is not known; it can be mcp-custom-handler")),
    }
}

impl CustomHandler {
    fn of(value: &Value) -> Result<Self, String> {
        let root = value.as_object().ok_or("customHandler must be an object")?;
        let of = |map: &Map<String, Value>, wanted: &str| {
            map.iter().find(|(key, _)| key.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.clone())
        };
        let http = of(root, "http").map(|http| HandlerHttp::of(&http)).transpose()?.unwrap_or_default();
        let is_proxied = of(root, "enableProxyingHttpRequest") == Some(Value::Bool(true));
        let Some(Value::Object(description)) = of(root, "description") else {
            return Err("customHandler.description is missing".to_owned());
        };
        let text =
            |key: &str| of(&description, key).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
        let program = text("defaultExecutablePath");
        if program.is_empty() {
            return Err("customHandler.description.defaultExecutablePath is missing".to_owned());
        }
        let arguments = of(&description, "arguments").and_then(|list| list.as_array().cloned()).unwrap_or_default();
        let arguments = arguments.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let port = of(root, "port").map(|port| port.as_str().map_or_else(|| port.to_string(), str::to_owned));
        let port = port
            .map(|port| port.parse().map_err(|_| format!("customHandler.port {port:?} must be a number")))
            .transpose()?;
        Ok(Self { program, arguments, directory: text("workingDirectory"), port, is_proxied, http })
    }

    fn use_profile(&mut self) {
        self.is_proxied = true;
        if self.http.routes.is_empty() {
            self.http.routes.push(("{*route}".to_owned(), None));
        }
    }

    fn check_routes(&self) -> Result<(), String> {
        match (self.is_proxied, self.http.routes.is_empty()) {
            (true, true) => Err(r#"customHandler.enableProxyingHttpRequest needs customHandler.http.routes, such as [{"route": "{*route}"}]"#),
            (false, false) => Err("customHandler.http.routes needs customHandler.enableProxyingHttpRequest: true"),
            _ => return Ok(()),
        }
        .map_err(str::to_owned)
    }
}

/// Parses the time of `functionTimeout`: `hh:mm:ss`, with days before it as `d.hh:mm:ss`; `-1` for no limit.
fn timespan(value: &Value) -> Result<Option<Duration>, String> {
    let wrong = || format!("functionTimeout is {value}; it must be a time such as \"00:10:00\", or \"-1\"");
    let text = value.as_str().ok_or_else(wrong)?;
    if text == "-1" {
        return Ok(None);
    }
    let mut parts = text.splitn(3, ':');
    let mut next = || parts.next().ok_or_else(wrong);
    let (hours, minutes, seconds) = (next()?, next()?, next()?);
    let (days, hours) = hours.split_once('.').unwrap_or(("0", hours));
    let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
    let seconds: f64 = seconds.parse().map_err(|_| wrong())?;
    let whole =
        f64::from(number(days)?) * 86_400.0 + f64::from(number(hours)?) * 3_600.0 + f64::from(number(minutes)?) * 60.0;
    let time = Duration::try_from_secs_f64(whole + seconds).map_err(|_| wrong())?;
    if time.is_zero() { Err(wrong()) } else { Ok(Some(time)) }
}

/// The values of `local.settings.json`.
#[derive(Clone, Default)]
pub struct AppSettings(BTreeMap<String, String>);

// Settings may be secret.
impl fmt::Debug for AppSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AppSettings").field(&self.0.keys().collect::<Vec<_>>()).finish()
    }
}

impl AppSettings {
    /// Reads `local.settings.json` of a directory. A missing file is an empty one.
    ///
    /// # Errors
    /// If the file is not JSON, or is encrypted.
    pub fn read(directory: &Path) -> Result<Self, InvalidApp> {
        let file = directory.join("local.settings.json");
        let Some(root) = object(&file)? else { return Ok(Self::default()) };
        let of = |wanted: &str| root.iter().find(|(key, _)| key.eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
        if of("IsEncrypted")
            .is_some_and(|set| set == true || set.as_str().is_some_and(|set| set.eq_ignore_ascii_case("true")))
        {
            return Err(InvalidApp::Encrypted(file));
        }
        let malformed = |what: String| InvalidApp::Malformed { file: file.clone(), what };
        let values = match of("Values") {
            None | Some(Value::Null) => return Ok(Self::default()),
            Some(Value::Object(values)) => values,
            Some(_) => return Err(malformed("Values must be an object".to_owned())),
        };
        let setting = |(name, value): (&String, &Value)| match value {
            Value::String(text) => Ok((name.clone(), text.clone())),
            Value::Bool(_) | Value::Number(_) => Ok((name.clone(), value.to_string())),
            _ => Err(malformed(format!("Values.{name} must be a text"))),
        };
        values.iter().map(setting).collect::<Result<_, _>>().map(Self)
    }

    /// Returns a setting: the environment variable of this name, else the value of the file.
    pub fn get(&self, name: &str) -> Option<OsString> {
        let own = || self.0.get(name).map(OsString::from);
        std::env::var_os(name).filter(|value| !value.is_empty()).or_else(own)
    }

    /// Returns a setting that is text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name)?.into_string().ok().filter(|text| !text.is_empty())
    }

    /// The names in the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Replaces each `%NAME%` in a text by the setting of this name. Unknown names stay as they are.
    pub fn expand(&self, text: &str) -> String {
        let Some((before, rest)) = text.split_once('%') else { return text.to_owned() };
        match rest.split_once('%') {
            Some((name, behind)) => match self.text(name) {
                Some(value) => format!("{before}{value}{}", self.expand(behind)),
                None => format!("{before}%{name}{}", self.expand(&format!("%{behind}"))),
            },
            None => text.to_owned(),
        }
    }
}

/// Reads a file with a JSON object, which may have comments and a byte order mark. `None` if there is no file.
///
/// # Errors
/// If the file cannot be read, or is not a JSON object.
pub fn object(file: &Path) -> Result<Option<Map<String, Value>>, InvalidApp> {
    let unreadable = |error| InvalidApp::Unreadable { file: file.to_owned(), error };
    let opened = match std::fs::File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mut text = String::new();
    opened.take(FILE as u64 + 1).read_to_string(&mut text).map_err(unreadable)?;
    let malformed = |what: String| InvalidApp::Malformed { file: file.to_owned(), what };
    if text.len() > FILE {
        return Err(malformed(format!("is longer than {FILE} bytes")));
    }
    let text = without_comments(text.trim_start_matches('\u{feff}'));
    serde_json::from_str(&text).map(Some).map_err(|error| malformed(error.to_string()))
}

/// Replaces comments (`//`, `/* */`) with spaces, as the platform's reader takes them.
fn without_comments(text: &str) -> String {
    let (mut plain, mut rest, mut in_string) = (String::with_capacity(text.len()), text.chars().peekable(), false);
    while let Some(char) = rest.next() {
        match (char, rest.peek()) {
            ('\\', Some(_)) if in_string => {
                plain.push(char);
                plain.extend(rest.next());
            }
            ('"', _) => {
                in_string = !in_string;
                plain.push(char);
            }
            ('/', Some('/')) if !in_string => while rest.next_if(|char| *char != '\n').is_some() {},
            ('/', Some('*')) if !in_string => {
                rest.next();
                let mut last = ' ';
                for char in rest.by_ref() {
                    if char == '\n' {
                        plain.push(char);
                    }
                    if last == '*' && char == '/' {
                        break;
                    }
                    last = char;
                }
            }
            _ => plain.push(char),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn host(value: &Value) -> Result<HostFile, String> {
        HostFile::of(value.as_object().expect("an object"))
    }

    #[test]
    fn keys_of_host_json_have_any_case_and_unknown_ones_are_named() {
        let read = host(&json!({
            "Version": "2.0", "functionTimeout": "00:10:00", "retry": {},
            "extensions": {"MCP": {"ServerName": "desk", "serverversion": "2", "instructions": "Ask.", "colour": 1,
                "system": {"WebhookAuthorizationLevel": "anonymous"}}, "queues": {}},
        }));
        let read = read.expect("sound");
        assert_eq!((read.server_name.as_deref(), read.server_version.as_deref()), (Some("desk"), Some("2")));
        assert_eq!((read.is_anonymous, read.timeout), (true, Some(Duration::from_secs(600))));
        let ignored = read.ignored.join(" ");
        assert!(["colour", "queues", "retry"].iter().all(|key| ignored.contains(key)), "{ignored}");
    }

    #[test]
    fn variables_set_values_of_the_file_and_never_open_the_server() {
        let mut root =
            json!({"version": "2.0", "extensions": {"mcp": {"serverName": "old"}}}).as_object().cloned().expect("one");
        let variable = |name: &str, value: &str| (format!("AzureFunctionsJobHost__{name}"), value.to_owned());
        let variables = [
            variable("Extensions__MCP__ServerName", "new"),
            variable("functionTimeout", "00:00:09"),
            variable("extensions__mcp__system__webhookAuthorizationLevel", "Anonymous"),
        ];
        overlay(&mut root, variables.into_iter());
        let read = HostFile::of(&root).expect("sound");
        assert_eq!((read.server_name.as_deref(), read.timeout), (Some("new"), Some(Duration::from_secs(9))));
        assert!(!read.is_anonymous);
    }

    #[test]
    fn level_that_is_not_known_stops_the_start() {
        for level in ["function", "admin", ""] {
            let file = json!({"extensions": {"mcp": {"system": {"webhookAuthorizationLevel": level}}}});
            assert!(host(&file).expect_err("a fault").contains("Anonymous"), "{level}");
        }
        assert!(host(&json!({"version": "1.0"})).is_err());
    }

    fn routes(custom: Value, profile: Value, prefix: Value) -> Result<Option<Vec<(String, HttpLevel)>>, String> {
        let mut file =
            json!({"customHandler": custom, "configurationProfile": profile, "extensions": {"http": prefix}});
        file["customHandler"]["description"] = json!({"defaultExecutablePath": "handler"});
        host(&file).map(|host| host.handler_routes())
    }

    #[test]
    fn profile_and_its_long_form_give_the_same_routes() {
        let all = |level| Ok(Some(vec![("/{*route}".to_owned(), level)]));
        let none = || json!({});
        let long = json!({"enableProxyingHttpRequest": true, "http": {"routes": [{"route": "{*route}"}]}});
        for (custom, profile, prefix, expected) in [
            (json!({}), json!("mcp-custom-handler"), none(), all(HttpLevel::Function)),
            (json!({}), json!("MCP-Custom-Handler"), none(), all(HttpLevel::Function)),
            (long.clone(), Value::Null, json!({"routePrefix": ""}), all(HttpLevel::Function)),
            (
                json!({"http": {"DefaultAuthorizationLevel": "Anonymous"}}),
                json!("mcp-custom-handler"),
                none(),
                all(HttpLevel::Anonymous),
            ),
            (
                json!({"http": {"routes": [{"route": "admin/{*rest}", "authorizationLevel": "admin"}, {"route": "/mcp"}]}}),
                json!("mcp-custom-handler"),
                none(),
                Ok(Some(vec![
                    ("/admin/{*rest}".to_owned(), HttpLevel::Admin),
                    ("/mcp".to_owned(), HttpLevel::Function),
                ])),
            ),
            (long, Value::Null, none(), Ok(Some(vec![("/api/{*route}".to_owned(), HttpLevel::Function)]))),
            (json!({}), Value::Null, none(), Ok(None)),
        ] {
            assert_eq!(routes(custom.clone(), profile, prefix), expected, "{custom}");
        }
    }

    #[test]
    fn handler_without_sound_routes_stops_the_start() {
        for (custom, profile, what) in [
            (json!({}), json!("other"), "mcp-custom-handler"),
            (json!({"enableProxyingHttpRequest": true}), Value::Null, "routes"),
            (json!({"http": {"routes": [{"route": "a"}]}}), Value::Null, "enableProxyingHttpRequest"),
            (json!({"http": {"defaultAuthorizationLevel": "system"}}), json!("mcp-custom-handler"), "anonymous"),
            (json!({"http": {"colour": 1}}), json!("mcp-custom-handler"), "colour"),
        ] {
            let error = routes(custom, profile, json!({})).expect_err("a fault");
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn time_is_read_as_the_platform_writes_it() {
        for (text, seconds) in [("00:05:00", Some(300)), ("1.00:00:30", Some(86_430)), ("-1", None)] {
            assert_eq!(timespan(&text.into()), Ok(seconds.map(Duration::from_secs)), "{text}");
        }
        for text in ["", "5", "00:00:00", "x:00:00", "00:-1:00"] {
            assert!(timespan(&text.into()).is_err(), "{text}");
        }
    }

    #[test]
    fn comments_are_left_out_and_texts_stay() {
        let text = "{ // a comment\n \"url\": \"http://x/*y*/\", /* two\n lines */ \"q\": \"\\\"//\" }";
        let read: Value = serde_json::from_str(&without_comments(text)).expect("JSON");
        assert_eq!(read, json!({"url": "http://x/*y*/", "q": "\"//"}));
    }

    #[test]
    fn names_between_percent_signs_are_replaced_by_settings() {
        let settings = AppSettings(BTreeMap::from([("SETTING_OF_TEST".to_owned(), "value".to_owned())]));
        for (text, expected) in [
            ("--x=%SETTING_OF_TEST%!", "--x=value!"),
            ("100% and %SETTING_OF_TEST%", "100% and value"),
            ("%UNKNOWN_SETTING%", "%UNKNOWN_SETTING%"),
            ("%", "%"),
        ] {
            assert_eq!(settings.expand(text), expected);
        }
    }
}
