//! The report of `attache doctor`: what was seen at each step, in words and as JSON.

use super::finding::{Code, Severity};
use crate::client::clean;
use core::fmt;
use serde::Serialize;
use serde_json::{Value, json};

/// A step of the walk, in the order in which a client walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Step {
    Configuration,
    Connection,
    Challenge,
    Metadata,
    Issuer,
    Token,
    Protocol,
    Browser,
}

/// An observation, and the finding if something is wrong.
#[derive(Debug)]
pub(super) struct Observation {
    step: Step,
    pub(super) seen: String,
    pub(super) finding: Option<Code>,
}

/// All observations about one server. Secrets are redacted as they are added.
#[derive(Debug, Default)]
pub(super) struct Report {
    url: String,
    secrets: Vec<String>,
    observations: Vec<Observation>,
}

impl Report {
    pub(super) fn new(url: &str, secrets: Vec<String>) -> Self {
        let secrets: Vec<_> = secrets.into_iter().filter(|secret| secret.len() >= SHORTEST_SECRET).collect();
        Self { url: redacted(url, &secrets), secrets, observations: Vec::new() }
    }

    /// Adds what is right.
    pub(super) fn saw(&mut self, step: Step, seen: impl AsRef<str>) {
        self.add(step, seen.as_ref(), None);
    }

    /// Adds what is wrong.
    pub(super) fn found(&mut self, step: Step, code: Code, seen: impl AsRef<str>) {
        self.add(step, seen.as_ref(), Some(code));
    }

    fn add(&mut self, step: Step, seen: &str, finding: Option<Code>) {
        let seen = redacted(&clean(seen).replace('\n', " "), &self.secrets);
        let is_known = |old: &Observation| old.finding == finding && old.seen == seen && old.step == step;
        if !self.observations.iter().any(is_known) {
            self.observations.push(Observation { step, seen: shortened(seen), finding });
        }
    }

    /// Whether this finding is in the report.
    pub(super) fn has(&self, code: Code) -> bool {
        self.observations.iter().any(|observation| observation.finding == Some(code))
    }

    /// Whether clients can use the server.
    pub(super) fn is_healthy(&self) -> bool {
        self.count(Severity::Error) == 0
    }

    fn count(&self, severity: Severity) -> usize {
        let codes = self.observations.iter().filter_map(|observation| observation.finding);
        codes.filter(|code| code.severity() == severity).count()
    }

    /// The report as JSON. `contacted` has the origins to which the doctor connected.
    pub(super) fn json(&self, contacted: &[String]) -> Value {
        let observations = self.observations.iter().map(|Observation { step, seen, finding }| match finding {
            None => json!({ "step": step, "seen": seen }),
            Some(code) => json!({
                "step": step, "seen": seen, "code": code.as_str(), "severity": code.severity(),
                "right": code.right(), "remedy": code.remedy(), "page": page(*code),
            }),
        });
        json!({
            "url": self.url, "healthy": self.is_healthy(), "contacted": contacted,
            "observations": observations.collect::<Vec<_>>(),
        })
    }

    /// The report in words.
    pub(super) const fn words<'r>(&'r self, contacted: &'r [String]) -> Words<'r> {
        Words { report: self, contacted }
    }
}

/// A report in words.
pub(super) struct Words<'r> {
    report: &'r Report,
    contacted: &'r [String],
}

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { report, contacted } = self;
        writeln!(f, "{}", report.url)?;
        let mut last = None;
        for Observation { step, seen, finding } in &report.observations {
            if last.replace(*step) != Some(*step) {
                writeln!(f, "\n{}", format!("{step:?}").to_lowercase())?;
            }
            match finding {
                None => writeln!(f, "  ok       {seen}")?,
                Some(code) => {
                    let word = match code.severity() {
                        Severity::Error => "ERROR  ",
                        Severity::Warning => "warning",
                    };
                    writeln!(f, "  {word}  {seen}")?;
                    writeln!(f, "           right:  {}", code.right())?;
                    writeln!(f, "           remedy: {}", code.remedy())?;
                    writeln!(f, "           {}", page(*code))?;
                }
            }
        }
        if !contacted.is_empty() {
            writeln!(f, "\ncontacted: {}", contacted.join(", "))?;
        }
        match (report.count(Severity::Error), report.count(Severity::Warning)) {
            (0, 0) => f.write_str("\nNothing is wrong."),
            (0, warnings) => write!(f, "\nClients can use the server; {warnings} warnings."),
            (errors, warnings) => write!(f, "\n{errors} errors, {warnings} warnings."),
        }
    }
}

/// Where the finding is explained.
fn page(code: Code) -> String {
    format!("docs/doctor.md#{code}")
}

/// Replaces secrets: those that are known, and whatever has the form of a token.
fn redacted(text: &str, secrets: &[String]) -> String {
    let text = secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), REDACTED));
    let mut result = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("eyJ") {
        let (before, from) = rest.split_at(at);
        let end = from.find(|char: char| !(char.is_ascii_alphanumeric() || "-_.".contains(char)));
        let (word, after) = from.split_at(end.unwrap_or(from.len()));
        result.push_str(before);
        result.push_str(if word.contains('.') { REDACTED } else { word });
        rest = after;
    }
    result + rest
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(LONGEST_SEEN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

const REDACTED: &str = "[redacted]";
/// Shorter secrets are in ordinary words; no credential is as short.
const SHORTEST_SECRET: usize = 8;
/// Most characters of an observation: a server may send long names.
const LONGEST_SEEN: usize = 600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_in_a_report() {
        let mut report = Report::new("https://mcp.example/?key=0123456789abcdef", vec!["0123456789abcdef".to_owned()]);
        report.saw(Step::Token, "key 0123456789abcdef and eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln");
        report.found(Step::Challenge, Code::NotMcp, "eyJhbGciOiJub25lIn0.eyJhIjoxfQ.");
        for text in [report.words(&[]).to_string(), report.json(&[]).to_string()] {
            assert!(!text.contains("0123456789abcdef") && !text.contains("eyJ"), "{text}");
            assert!(text.contains(REDACTED));
        }
    }

    #[test]
    fn each_finding_has_a_section_in_the_documentation_and_no_other_section_is_there() {
        let page = include_str!("../../../../docs/doctor.md");
        let sections: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
        let codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(sections, codes);
    }
}
