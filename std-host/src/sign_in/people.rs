//! The people of a provider who may sign in.

use serde_json::{Map, Value};

/// Allow-lists for people.
#[derive(Clone, Debug, Default)]
pub(super) struct People {
    pub(super) identities: Vec<String>,
    pub(super) groups: Vec<String>,
    pub(super) tenants: Vec<String>,
    pub(super) domains: Vec<String>,
}

impl People {
    /// Whether the person with these claims may sign in. The lists have to agree, except that a person may be in one of the
    /// identities or in one of the groups.
    ///
    /// # Errors
    /// The rule that the person does not satisfy, for the log.
    pub(super) fn check(&self, claims: &Map<String, Value>) -> Result<(), &'static str> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        let has = |list: &[String], value: &str| list.iter().any(|own| own == value);
        let is_any = |list: &[String]| matches!(list, [any] if any == "*");
        if !self.tenants.is_empty() && !is_any(&self.tenants) && !has(&self.tenants, text("tid")) {
            return Err("tid is not one of the tenants");
        }
        if !self.domains.is_empty() && !self.domains.iter().any(|domain| is_of_domain(claims, domain)) {
            return Err("no verified e-mail address or hd is of one of the domains");
        }
        if self.identities.is_empty() && self.groups.is_empty() {
            return Ok(());
        }
        if has(&self.identities, text("oid")) || has(&self.identities, text("sub")) {
            return Ok(());
        }
        let groups = claims.get("groups").and_then(Value::as_array);
        let mut groups = groups.into_iter().flatten().filter_map(Value::as_str);
        if groups.any(|group| has(&self.groups, group)) {
            return Ok(());
        }
        // Entra ID leaves the groups out if there are too many.
        let is_overage = claims.contains_key("hasgroups") || claims.contains_key("_claim_names");
        Err(if is_overage && !self.groups.is_empty() {
            "the person has more groups than fit into a token"
        } else {
            "neither an identity nor a group is listed"
        })
    }
}

/// Whether the issuer vouches for an e-mail address of this domain. Entra ID sends unverified addresses without
/// `email_verified`.
fn is_of_domain(claims: &Map<String, Value>, domain: &str) -> bool {
    let is_domain = |text: &str| text.eq_ignore_ascii_case(domain);
    let email = claims.get("email").and_then(Value::as_str).and_then(|email| email.rsplit_once('@'));
    let is_verified = claims.get("email_verified") == Some(&Value::Bool(true));
    // Google: the domain of an organization's account.
    let of_organization = claims.get("hd").and_then(Value::as_str).is_some_and(is_domain);
    of_organization || is_verified && email.is_some_and(|(_, of)| is_domain(of))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn person_must_be_in_every_kind_of_list() {
        let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let people = |tenants, domains, identities, groups| People {
            tenants: list(tenants),
            domains: list(domains),
            identities: list(identities),
            groups: list(groups),
        };
        let ada = json!({"sub": "1", "oid": "o", "tid": "t", "groups": ["g"], "email": "ada@Id.example", "email_verified": true});
        for (people, changes, expected) in [
            (people("", "", "", ""), json!({}), true),
            (people("t", "id.example", "o", "x"), json!({}), true),
            (people("t", "id.example", "x", "g"), json!({}), true),
            (people("", "", "1", ""), json!({}), true),
            (people("*", "", "", ""), json!({}), true),
            (people("x", "", "", ""), json!({}), false),
            (people("", "example", "", ""), json!({}), false),
            (people("", "id.example", "", ""), json!({"email_verified": false}), false),
            (people("", "id.example", "", ""), json!({"email_verified": null}), false),
            (people("", "id.example", "", ""), json!({"email": "evil@x@id.example"}), true),
            (people("", "id.example", "", ""), json!({"email": "id.example"}), false),
            (people("", "hd.example", "", ""), json!({"hd": "hd.example"}), true),
            (people("", "", "x", "x"), json!({}), false),
            (people("", "", "", "g"), json!({"groups": "g"}), false),
            (people("", "", "", "g"), json!({"groups": null, "hasgroups": true}), false),
        ] {
            let mut claims = ada.as_object().expect("an object").clone();
            claims.extend(changes.as_object().expect("an object").clone());
            assert_eq!(people.check(&claims).is_ok(), expected, "{people:?} {claims:?}");
        }
    }
}
