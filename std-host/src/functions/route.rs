//! Routes of functions with an HTTP trigger: literals, parameters and their constraints.

use super::route_constraint::Constraint;
use core::fmt;
use percent_encoding::percent_decode_str;
use std::collections::HashMap;

/// The parts of a route between slashes.
#[derive(Clone, Debug)]
pub(super) struct Route(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Literal(String),
    Parameter(Parameter),
}

#[derive(Clone, Debug)]
struct Parameter {
    name: String,
    takes: Takes,
    constraints: Vec<Constraint>,
}

/// The part of a path that a parameter takes.
#[derive(Clone, Debug)]
enum Takes {
    One,
    /// `{name?}` or `{name=default}`
    OneIfThere {
        default: Option<String>,
    },
    /// `{*name}`
    Rest,
}

impl Route {
    /// Reads a route in the syntax of ASP.NET Core, which the platform uses.
    ///
    /// # Errors
    /// The reason if the route has a part that is not supported.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let parts = parts(text).into_iter().filter(|part| !part.is_empty());
        parts.map(Part::read).collect::<Result<_, _>>().map(Self)
    }

    /// Returns the parameters of a path that fits.
    pub(super) fn parameters(&self, path: &str) -> Option<HashMap<String, String>> {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let mut given = path.split('/').filter(|part| !part.is_empty());
        let mut parameters = HashMap::new();
        for part in &self.0 {
            match part {
                Part::Literal(literal) => {
                    given.next().filter(|given| decoded(given).eq_ignore_ascii_case(literal))?;
                }
                Part::Parameter(parameter) => {
                    let value = match &parameter.takes {
                        Takes::Rest => {
                            let rest: Vec<String> = given.by_ref().map(decoded).collect();
                            Some(rest.join("/")).filter(|rest| !rest.is_empty())
                        }
                        Takes::One => Some(decoded(given.next()?)),
                        Takes::OneIfThere { default } => given.next().map(decoded).or_else(|| default.clone()),
                    };
                    let Some(value) = value else { continue };
                    if !parameter.constraints.iter().all(|constraint| constraint.admits(&value)) {
                        return None;
                    }
                    parameters.insert(parameter.name.clone(), value);
                }
            }
        }
        given.next().is_none().then_some(parameters)
    }

    /// The rank of each part. Of two routes that fit, the one with the lower rank is taken: literals come before
    /// parameters, and parameters with constraints before those without.
    pub(super) fn rank(&self) -> Vec<u8> {
        let of = |part: &Part| match part {
            Part::Literal(_) => 1,
            Part::Parameter(Parameter { takes, constraints, .. }) => {
                let is_rest = matches!(takes, Takes::Rest);
                2 + 2 * u8::from(is_rest) + u8::from(constraints.is_empty())
            }
        };
        self.0.iter().map(of).collect()
    }
}

/// Splits a route at the slashes outside of braces.
fn parts(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    text.split(|char: char| {
        match char {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        char == '/' && depth == 0
    })
    .collect()
}

impl Part {
    fn read(text: &str) -> Result<Self, String> {
        let is_braced = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        let Some(inside) = is_braced else {
            return match text.contains(['{', '}']) {
                true => Err(format!("{text:?} mixes text and a parameter in one part of the path")),
                false => Ok(Self::Literal(text.to_owned())),
            };
        };
        let (inside, is_rest) = match inside.trim_start_matches('*') {
            rest if rest.len() < inside.len() => (rest, true),
            _ => (inside, false),
        };
        let (inside, default) = match default_of(inside) {
            Some((inside, default)) => (inside, Some(default.to_owned())),
            None => (inside, None),
        };
        let (inside, is_optional) = match inside.strip_suffix('?') {
            Some(inside) => (inside, true),
            None => (inside, default.is_some()),
        };
        let mut words = outside_of_parentheses(inside, ':').into_iter();
        let name = words.next().unwrap_or_default().to_owned();
        if name.is_empty() || name.contains(['{', '}', '?', '*']) {
            return Err(format!("{text:?} is not a parameter such as {{id}} or {{id:int?}}"));
        }
        let constraints = words.map(Constraint::read).collect::<Result<_, _>>()?;
        let takes = match (is_rest, is_optional) {
            (true, _) => Takes::Rest,
            (false, true) => Takes::OneIfThere { default },
            (false, false) => Takes::One,
        };
        Ok(Self::Parameter(Parameter { name, takes, constraints }))
    }
}

/// Splits a parameter from its default value, which stands behind `=`.
fn default_of(inside: &str) -> Option<(&str, &str)> {
    let before = outside_of_parentheses(inside, '=').first()?.len();
    Some((inside.get(..before)?, inside.get(before + 1..)?))
}

/// Splits a text at a separator outside of parentheses. Constraints may have the separator in their arguments.
fn outside_of_parentheses(text: &str, separator: char) -> Vec<&str> {
    let mut depth = 0_usize;
    text.split(|char: char| {
        match char {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        char == separator && depth == 0
    })
    .collect()
}

/// The route without constraints and default values.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, part) in self.0.iter().enumerate() {
            let slash = if number > 0 { "/" } else { "" };
            match part {
                Part::Literal(literal) => write!(f, "{slash}{literal}")?,
                Part::Parameter(Parameter { name, takes, .. }) => match takes {
                    Takes::One => write!(f, "{slash}{{{name}}}")?,
                    Takes::OneIfThere { .. } => write!(f, "{slash}{{{name}?}}")?,
                    Takes::Rest => write!(f, "{slash}{{*{name}}}")?,
                },
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn route_fits_paths_and_takes_their_parameters() {
        let of = |pairs: &[(&str, &str)]| {
            Some(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<HashMap<_, _>>())
        };
        for (route, path, expected) in [
            ("hello", "/Hello/", of(&[])),
            ("hello", "/hello/there", None),
            ("items/{id:int}", "/items/7", of(&[("id", "7")])),
            ("items/{id:int}", "/items/x", None),
            ("items/{id:int?}", "/items", of(&[])),
            ("items/{id:int:min(5)}", "/items/4", None),
            ("items/{id=9}", "/items", of(&[("id", "9")])),
            ("items/{id:int=9}", "/items/8", of(&[("id", "8")])),
            ("items/{id}", "/items/a%20b", of(&[("id", "a b")])),
            ("items/{id}", "/items", None),
            ("items/{id?}", "/items", of(&[])),
            ("days/{day:regex(^[0-9]{{4}}/?[a-z:=]+$)}", "/days/2026x", of(&[("day", "2026x")])),
            ("days/{day:regex(^[0-9]{{4}}$)}", "/days/202", None),
            ("files/{*rest}", "/files/a/b", of(&[("rest", "a/b")])),
            ("{*rest}", "/", of(&[])),
        ] {
            assert_eq!(Route::read(route).expect(route).parameters(path), expected, "{route} {path}");
        }
    }

    #[test]
    fn literal_is_tried_before_a_parameter_and_a_constraint_before_none() {
        let routes = ["a/b", "a/{b:int}", "a/{b}", "a/{*b}", "{*rest}"];
        let ranks = routes.map(|route| Route::read(route).expect(route).rank());
        assert!(ranks.is_sorted(), "{ranks:?}");
    }

    #[test]
    fn route_is_described_without_constraints() {
        let route = Route::read("a/{b:int}/{c:alpha?}/{*d:length(3)}").expect("a route");
        assert_eq!(route.to_string(), "a/{b}/{c?}/{*d}");
    }

    #[test]
    fn part_that_is_not_supported_is_named() {
        for (route, word) in [
            ("file.{ext}", "file.{ext}"),
            ("a/{b:odd}", "odd"),
            ("a/{b:min(x)}", "min(x)"),
            ("{b:regex([)}", "regex"),
            ("{}", "parameter"),
        ] {
            let error = Route::read(route).expect_err(route);
            assert!(error.contains(word), "{route}: {error}");
        }
    }
}
