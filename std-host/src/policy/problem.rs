//! Mistakes in a policy that can be found before a backend is connected.

use super::Policy;
use super::pattern::Pattern;
use core::fmt;

/// A mistake in a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyProblem {
    /// A pattern is empty, so it matches nothing.
    EmptyPattern,
    /// The pattern can match neither a URI nor a name with this prefix.
    NeverMatches {
        /// The pattern.
        pattern: String,
        /// The prefix of the backend.
        prefix: String,
    },
    /// Everything that the pattern of `allow` matches is denied.
    Contradiction {
        /// The pattern of `allow`.
        allow: String,
        /// The pattern of `deny`.
        deny: String,
    },
    /// The policy allows nothing. This may be intended.
    AllowsNothing,
}

impl PolicyProblem {
    /// Whether the policy cannot be meant as it is written.
    pub const fn is_error(&self) -> bool {
        !matches!(self, Self::AllowsNothing)
    }
}

impl fmt::Display for PolicyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyPattern => f.write_str("a pattern is empty: write a name, a URI, or a pattern such as get_*"),
            Self::NeverMatches { pattern, prefix } => write!(
                f,
                "the pattern {pattern:?} never matches: names begin with the prefix {prefix:?}, and URIs have a colon"
            ),
            Self::Contradiction { allow, deny } => {
                write!(f, "allow has {allow:?}, which deny {deny:?} hides completely: remove one of them")
            }
            Self::AllowsNothing => f.write_str("the policy allows nothing"),
        }
    }
}

impl Policy {
    /// Returns the mistakes in this policy for a backend with `prefix`.
    pub fn problems(&self, prefix: &str) -> Vec<PolicyProblem> {
        let mut problems = Vec::new();
        if self.patterns().any(|pattern| pattern.text().is_empty()) {
            problems.push(PolicyProblem::EmptyPattern);
        }
        let names = Pattern::new(format!("{prefix}*"));
        let never =
            |pattern: &&Pattern| !pattern.text().is_empty() && !pattern.meets(&names) && !can_match_uri(pattern);
        problems.extend(self.patterns().filter(never).map(|pattern| PolicyProblem::NeverMatches {
            pattern: pattern.text().to_owned(),
            prefix: prefix.to_owned(),
        }));
        for allow in self.allow.iter().flatten() {
            problems.extend(self.deny.iter().find(|deny| deny.covers(allow)).map(|deny| {
                PolicyProblem::Contradiction { allow: allow.text().to_owned(), deny: deny.text().to_owned() }
            }));
        }
        let is_everything = |pattern: &Pattern| pattern.covers(&Pattern::new("*".to_owned()));
        let allows_nothing = self.allow.as_ref().is_some_and(Vec::is_empty) || self.deny.iter().any(is_everything);
        problems.extend(allows_nothing.then_some(PolicyProblem::AllowsNothing));
        problems
    }
}

/// RFC 3986 §3.1: a scheme has letters, digits, `+`, `-` and `.`, and ends with a colon.
fn can_match_uri(pattern: &Pattern) -> bool {
    let end = pattern.text().find([':', '*']);
    let scheme = end.map(|end| &pattern.text()[..end]);
    scheme.is_some_and(|scheme| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_in_a_policy_are_found_before_an_entry_is_known() {
        let never = |pattern: &str| PolicyProblem::NeverMatches { pattern: pattern.into(), prefix: "crm_".into() };
        let contradiction =
            |allow: &str, deny: &str| PolicyProblem::Contradiction { allow: allow.into(), deny: deny.into() };
        let rows: Vec<(Policy, Vec<PolicyProblem>)> = vec![
            (Policy::new(), vec![]),
            (Policy::new().allow(["crm_*", "*_get", "file:///a", "*"]).deny(["crm_x"]).scope("crm_*", "s"), vec![]),
            (Policy::new().allow(["get_*"]), vec![never("get_*")]),
            (Policy::new().deny(["delete"]).scope("crm", "s").role("x*", "r"), vec![never("delete"), never("crm")]),
            (Policy::new().allow([""]), vec![PolicyProblem::EmptyPattern]),
            (Policy::new().allow(["crm_a"]).deny(["crm_*"]), vec![contradiction("crm_a", "crm_*")]),
            (Policy::new().allow(["crm_a*"]).deny(["crm_a*"]), vec![contradiction("crm_a*", "crm_a*")]),
            (Policy::new().allow(["crm_*"]).deny(["crm_a"]), vec![]),
            (Policy::new().allow([""; 0]), vec![PolicyProblem::AllowsNothing]),
            (Policy::new().deny(["*"]), vec![PolicyProblem::AllowsNothing]),
        ];
        for (policy, problems) in rows {
            assert_eq!(policy.problems("crm_"), problems, "{policy:?}");
        }
    }
}
