//! Precedence of the sources of values: a flag overrides a variable, a variable overrides the file,
//! the file overrides the default.

use super::backend::{self, Backend};
use super::given::Given;
use super::names;
use super::policy::{self, PolicyRules};
use super::providers::{self, ProviderConfig};
use super::proxy::{self, RouteRule};
use super::settings::{Kind, Of, SETTINGS, Setting, nearest, shown};
use crate::fault::{Fault, Faults, Origin};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The value of a setting that is in force.
#[derive(Clone, Debug)]
pub(crate) struct Effective {
    /// The path of the server, for a setting of a `[[server]]`.
    server: Option<String>,
    pub(crate) key: &'static str,
    pub(crate) given: Given,
}

/// The settings that a reload changes.
const RELOADED: [&str; 2] = ["pins.file", "pins.new"];

impl Effective {
    /// Whether the setting had another value at the start of the program, and has it until a restart.
    pub(crate) fn needs_restart(&self, at_start: &[Self]) -> bool {
        let before = at_start.iter().find(|before| before.key == self.key && before.server == self.server);
        !RELOADED.contains(&self.key) && before.is_some_and(|before| before.given.texts != self.given.texts)
    }
}

type Values = HashMap<&'static str, Given>;

/// All values that were written, by source, in the order of precedence.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    flags: Values,
    variables: Values,
    servers: Vec<Values>,
    /// Those of each server.
    backends: Vec<Vec<Backend>>,
    /// The policy of each server.
    policies: Vec<PolicyRules>,
    /// The routes of each server.
    routes: Vec<Vec<RouteRule>>,
    file: Values,
    /// The providers at which people sign in.
    pub(super) providers: Vec<ProviderConfig>,
    /// The policy of servers that have none of their own.
    policy: PolicyRules,
    /// The path of the file, if there is one.
    pub(super) path: Option<PathBuf>,
    /// Defaults of a command, instead of those of the table.
    defaults: Values,
}

impl Layers {
    /// Replaces the default of a setting.
    ///
    /// # Errors
    /// If the text does not have the form of the setting.
    pub(crate) fn set_default(&mut self, key: &str, text: String) -> Result<(), Fault> {
        let setting = SETTINGS.iter().find(|setting| setting.key == key).expect("a key of the table");
        let given = checked(setting, Given { texts: vec![text], origin: Origin::Default })?;
        self.defaults.insert(setting.key, given);
        Ok(())
    }

    /// Adds a flag of the command line.
    pub(crate) fn flag(&mut self, setting: &'static Setting, texts: Vec<String>) -> Result<(), Fault> {
        let given = Given { texts, origin: Origin::Flag(setting.flag()) };
        self.flags.insert(setting.key, checked(setting, given)?);
        Ok(())
    }

    /// Adds the environment variables that are settings. An empty variable counts as unset, because
    /// container tools pass on unset variables as empty ones.
    pub(crate) fn variables(&mut self, of: impl Fn(&str) -> Option<String>) -> Result<(), Fault> {
        let mut faults = Faults::default();
        for setting in SETTINGS {
            let name = setting.variable();
            let Some(text) = of(&name).filter(|text| !text.is_empty()) else { continue };
            let given = Given { texts: vec![text], origin: Origin::Variable(name) };
            match checked(setting, given) {
                Ok(given) => drop(self.variables.insert(setting.key, given)),
                Err(fault) => faults.add(fault),
            }
        }
        faults.or_default(self.platform_variables(of));
        faults.end()
    }

    /// Listens where a function platform expects its custom handler (FUNCTIONS_CUSTOMHANDLER_PORT), and accepts the public name
    /// of the app (WEBSITE_HOSTNAME), unless settings say otherwise.
    fn platform_variables(&mut self, of: impl Fn(&str) -> Option<String>) -> Result<(), Fault> {
        const PORT: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";
        let Some(port) = of(PORT).filter(|port| !port.is_empty()) else { return Ok(()) };
        let origin = Origin::Variable(PORT.to_owned());
        let number: u16 = port
            .parse()
            .map_err(|_| Fault::at(origin.clone(), format!("{PORT} {port:?} must be the number of a port")))?;
        let listen = Given { texts: vec![format!("127.0.0.1:{number}")], origin };
        self.variables.entry("listen").or_insert(listen);
        if let Some(host) = of("WEBSITE_HOSTNAME").filter(|host| !host.is_empty()) {
            self.set_default("allow_host", host)?;
        }
        Ok(())
    }

    /// Adds the file at `path` with content `text`, and adds its faults. Returns whether the text is
    /// TOML.
    pub(crate) fn file(&mut self, path: &Path, text: &str, faults: &mut Faults) -> bool {
        self.path = Some(path.to_owned());
        let file = File { path, text };
        let table = match DeTable::parse(text) {
            Ok(table) => table,
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                let place = error.span().and_then(|span| text.get(span)).unwrap_or_default();
                faults.add(file.fault(
                    at,
                    match error.message() {
                        "duplicate key" => format!("{place} is there twice: remove one of them"),
                        other => format!("this is not TOML: {other}"),
                    },
                ));
                return false;
            }
        };
        for (key, value) in table.get_ref() {
            let at = key.span().start;
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("server", DeValue::Array(servers)) => {
                    for server in servers.iter() {
                        let mut own = Own::default();
                        match server.get_ref() {
                            DeValue::Table(table) => file.server(table, &mut own, faults),
                            _ => faults.add(file.fault(server.span().start, NOT_A_SERVER.to_owned())),
                        }
                        self.servers.push(own.values);
                        self.backends.push(own.backends);
                        self.policies.push(own.rules);
                        self.routes.push(own.routes);
                    }
                }
                ("server", _) => faults.add(file.fault(at, NOT_A_SERVER.to_owned())),
                ("auth", DeValue::Table(auth)) => {
                    if let Some((_, value)) = auth.iter().find(|(key, _)| key.get_ref() == "provider") {
                        let origin = |offset| file.origin(offset);
                        self.providers = providers::read(value.get_ref(), value.span().start, &origin, faults);
                    }
                    file.read(auth, "auth.", Of::Program, &mut self.file, faults);
                }
                (rule, inner) if policy::KEYS.contains(&rule) => {
                    let taken = self.policy.take(rule, inner, file.origin(at));
                    faults.or_default(taken.map_err(|what| file.fault(at, what)));
                }
                (_, inner) => {
                    let at = value.span().start;
                    file.read_one(key, inner, at, "", Of::Program, &mut self.file, faults);
                }
            }
        }
        true
    }

    /// The number of `[[server]]` tables.
    pub(crate) const fn servers(&self) -> usize {
        self.servers.len()
    }

    /// The backends of the `[[server]]` of this number.
    pub(crate) fn backends(&self, server: usize) -> Vec<Backend> {
        self.backends.get(server).cloned().unwrap_or_default()
    }

    /// The routes of the `[[server]]` of this number.
    pub(crate) fn routes(&self, server: Option<usize>) -> Vec<RouteRule> {
        server.and_then(|number| self.routes.get(number)).cloned().unwrap_or_default()
    }

    /// The rules of a `[[server]]` table or, without one, of the whole file.
    pub(crate) fn rules(&self, server: Option<usize>) -> PolicyRules {
        let own = server.and_then(|number| self.policies.get(number)).cloned().unwrap_or_default();
        own.or(self.policy.clone())
    }

    /// The values of all settings.
    pub(super) fn effective(&self) -> Vec<Effective> {
        let one = |setting: &'static Setting, server: Option<usize>| {
            let path = SETTINGS.iter().find(|setting| setting.key == "path");
            let path = server.and(path).and_then(|path| self.get(path, server).texts.into_iter().next());
            Effective { server: path, key: setting.key, given: self.get(setting, server) }
        };
        let of_servers = (0..self.servers()).flat_map(|server| {
            let own = SETTINGS.iter().filter(|setting| setting.of == Of::Server);
            own.map(move |setting| one(setting, Some(server)))
        });
        SETTINGS.iter().map(|setting| one(setting, None)).chain(of_servers).collect()
    }

    /// The value of a setting, for the `[[server]]` of this number.
    pub(crate) fn get(&self, setting: &Setting, server: Option<usize>) -> Given {
        let own = server.and_then(|number| self.servers.get(number));
        let layers = [Some(&self.flags), Some(&self.variables), own, Some(&self.file), Some(&self.defaults)];
        layers.into_iter().flatten().find_map(|values| values.get(setting.key)).cloned().unwrap_or_else(|| Given {
            texts: match setting.kind {
                _ if setting.default.is_empty() => Vec::new(),
                Kind::List(_) => setting.default.split(',').map(str::to_owned).collect(),
                _ => vec![setting.default.to_owned()],
            },
            origin: Origin::Default,
        })
    }
}

const NOT_A_SERVER: &str = "write [[server]], with two brackets: a file may have several servers";

/// Returns a warning for each of these environment variables that looks like a setting but is not
/// one. A warning does not stop the start, because platforms set such variables on their own
/// (Kubernetes: `ATTACHE_SERVICE_HOST`).
pub(super) fn unknown_variables(names: impl Iterator<Item = String>) -> Vec<String> {
    let known: Vec<String> = SETTINGS.iter().map(Setting::variable).chain(["ATTACHE_CONFIG".to_owned()]).collect();
    let of_platforms = ["_SERVICE_HOST", "_SERVICE_PORT", "_TCP", "_UDP", "_ADDR", "_PROTO"];
    names
        .filter(|name| name.starts_with("ATTACHE_") && !known.contains(name))
        .filter(|name| name != "ATTACHE_PORT" && !of_platforms.iter().any(|part| name.contains(part)))
        .map(|name| match nearest(&name, known.iter().map(String::as_str)) {
            Some(nearest) => format!("{name} is not a setting; did you mean {nearest}?"),
            None => format!("{name} is not a setting"),
        })
        .collect()
}

/// What a `[[server]]` table has.
#[derive(Default)]
struct Own {
    values: Values,
    backends: Vec<Backend>,
    rules: PolicyRules,
    routes: Vec<RouteRule>,
}

/// The configuration file, for the position of faults.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn line(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }

    fn origin(&self, offset: usize) -> Origin {
        Origin::File(self.path.to_owned(), self.line(offset))
    }

    fn fault(&self, offset: usize, what: String) -> Fault {
        Fault::at(self.origin(offset), what)
    }

    fn server(&self, table: &DeTable<'_>, own: &mut Own, faults: &mut Faults) {
        let Own { values, backends, rules, routes } = own;
        for (key, value) in table.iter() {
            let at = value.span().start;
            match key.get_ref().as_ref() {
                rule if policy::KEYS.contains(&rule) => {
                    let at = key.span().start;
                    let taken = rules.take(rule, value.get_ref(), self.origin(at));
                    faults.or_default(taken.map_err(|what| self.fault(at, what)));
                }
                "backend" => *backends = backend::read(value.get_ref(), at, &|offset| self.origin(offset), faults),
                "route" => *routes = proxy::read_routes(value.get_ref(), at, &|offset| self.origin(offset), faults),
                _ => self.read_one(key, value.get_ref(), at, "", Of::Server, values, faults),
            }
        }
    }

    fn read(&self, table: &DeTable<'_>, prefix: &str, of: Of, values: &mut Values, faults: &mut Faults) {
        for (key, value) in table.iter() {
            self.read_one(key, value.get_ref(), value.span().start, prefix, of, values, faults);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one place in the file, and where it goes")]
    fn read_one(
        &self,
        key: &Spanned<toml::de::DeString<'_>>,
        value: &DeValue<'_>,
        at: usize,
        prefix: &str,
        of: Of,
        values: &mut Values,
        faults: &mut Faults,
    ) {
        let name = format!("{prefix}{}", key.get_ref());
        let place = key.span().start;
        let fits = |setting: &&'static Setting| of == Of::Program || setting.of == Of::Server;
        if let Some(setting) = SETTINGS.iter().filter(fits).find(|setting| setting.key == name) {
            match self.value(setting, value, at, place) {
                Ok(given) => drop(values.insert(setting.key, given)),
                Err(fault) => faults.add(fault),
            }
            return;
        }
        // `[[auth.provider]]` is read as a whole.
        if of == Of::Program && name == "auth.provider" {
            return;
        }
        let inside = format!("{name}.");
        let is_table = SETTINGS.iter().filter(fits).any(|setting| setting.key.starts_with(&inside));
        match value {
            // The table of settings has only three levels, so the recursion ends.
            DeValue::Table(table) if is_table => self.read(table, &inside, of, values, faults),
            _ => faults.add(self.fault(place, unknown(&name, of, is_table))),
        }
    }

    fn value(&self, setting: &Setting, value: &DeValue<'_>, at: usize, place: usize) -> Result<Given, Fault> {
        if setting.kind == Kind::Secret {
            let what =
                format!("{} is a secret and does not belong in this file: set {}", setting.key, setting.variable());
            return Err(self.fault(place, what));
        }
        let texts =
            texts(value).ok_or_else(|| self.fault(at, format!("{} must be {}", setting.key, setting.kind.wanted())))?;
        checked(setting, Given { texts, origin: self.origin(place) })
    }
}

/// Says that the setting `name` does not exist here, and suggests the one that was probably meant.
fn unknown(name: &str, of: Of, is_table: bool) -> String {
    if is_table {
        let inside = format!("{name}.");
        let first = shown().find_map(|setting| setting.key.strip_prefix(&inside)).unwrap_or_default();
        return format!("{name} is a table: write [{name}], and settings such as {first} on the lines below it");
    }
    if of == Of::Server && SETTINGS.iter().any(|setting| setting.key == name) {
        return format!("{name} is a setting of the whole program: write it above the first [[server]]");
    }
    let fits = |setting: &&'static Setting| of == Of::Program || setting.of == Of::Server;
    let tables = shown().filter(fits).filter_map(|setting| Some(setting.key.split_once('.')?.0));
    let of_servers = (of == Of::Program).then_some("server");
    match nearest(name, shown().filter(fits).map(|setting| setting.key).chain(tables).chain(of_servers)) {
        Some("server") => format!("there is no setting {name}; did you mean [[server]]?"),
        Some(nearest) => format!("there is no setting {name}; did you mean {nearest}?"),
        None => format!("there is no setting {name}"),
    }
}

/// Converts a value of the file to the texts that a variable would hold.
fn texts(value: &DeValue<'_>) -> Option<Vec<String>> {
    match value {
        DeValue::String(text) => Some(vec![text.to_string()]),
        DeValue::Integer(number) => Some(vec![number.as_str().replace('_', "")]),
        DeValue::Boolean(switch) => Some(vec![switch.to_string()]),
        DeValue::Array(values) => values
            .iter()
            .map(|value| match value.get_ref() {
                DeValue::String(text) => Some(text.to_string()),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

fn checked(setting: &Setting, given: Given) -> Result<Given, Fault> {
    if let Kind::List(item) = setting.kind {
        return match names::entries(item, &given.texts) {
            Ok(texts) => Ok(Given { texts, ..given }),
            Err((entry, wanted)) => Err(Fault::at(given.origin, format!("{} {entry:?} {wanted}", setting.key))),
        };
    }
    match given.texts.iter().find(|text| !setting.kind.takes(text)) {
        None if given.texts.len() == 1 => Ok(given),
        wrong => {
            let text = wrong.or(given.texts.first()).map_or("", String::as_str);
            let what = match setting.kind {
                // Secrets are never printed.
                Kind::Secret => format!("{} must be {}", setting.key, setting.kind.wanted()),
                _ => format!("{} {text:?} must be {}", setting.key, setting.kind.wanted()),
            };
            Err(Fault::at(given.origin, what))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_that_looks_like_a_setting_is_told_and_one_of_a_platform_is_not() {
        let names =
            ["ATTACHE_LISTN", "ATTACHE_LISTEN", "ATTACHE_CONFIG", "ATTACHE_SERVICE_HOST", "ATTACHE_PORT", "HOME"];
        let told = unknown_variables(names.into_iter().map(ToString::to_string));
        assert_eq!(told, ["ATTACHE_LISTN is not a setting; did you mean ATTACHE_LISTEN?"]);
    }
}
