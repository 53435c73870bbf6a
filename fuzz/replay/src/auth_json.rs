//! Checks the reader of a function platform's policy file (`auth.json`) against serde_json and a
//! slow reading of paths.

use serde_json::Value;
use std::collections::BTreeSet;

// The file is included by path, so that the fuzz target does not build the host.
#[path = "../../../std-host/src/auth/platform_file/mod.rs"]
#[expect(dead_code, unreachable_pub, unused_imports, reason = "public in the host, and used there")]
mod platform_file;

use platform_file::PlatformFile;

/// Checks that an accepted policy says the same as a second reader finds in the file, and that no
/// excluded path opens the endpoint to callers who have to authenticate.
pub fn auth_json(input: &[u8]) {
    let Ok(text) = core::str::from_utf8(input) else { return };
    let variable = |name: &str| Some(if name.ends_with("TENANTS") { "t" } else { "a, b" }.to_owned());
    let Ok(platform) = PlatformFile::parse(text, "/mcp", variable) else { return };
    assert_eq!(platform.scopes, ["a", "b"]);
    let whole: Value = serde_json::from_str(text).expect("it was read");
    let seen = whole.get("properties").unwrap_or(&whole);

    let validation = &seen["globalValidation"];
    let action = validation["unauthenticatedClientAction"].as_str();
    let optional = validation["requireAuthentication"] == false || action == Some("AllowAnonymous");
    assert_eq!(platform.admits_guests, optional);
    let told = match action.filter(|_| !optional) {
        Some("Return403") => Some(403),
        Some("Return404") => Some(404),
        _ => None,
    };
    assert_eq!(platform.unauthenticated, told);
    assert_eq!(platform.require_https, seen["httpSettings"]["requireHttps"] != false);
    assert_ne!(seen["platform"]["enabled"], false);
    let convention = seen["httpSettings"]["forwardProxy"]["convention"].as_str();
    assert_eq!(platform.forwarded.is_some(), matches!(convention, Some("Standard" | "Custom")));
    for path in validation["excludedPaths"].as_array().into_iter().flatten() {
        assert_ne!(meant(path.as_str().expect("a text")), ["mcp"], "the endpoint is open to all");
    }

    let providers = &seen["identityProviders"];
    let custom = providers["customOpenIdConnectProviders"].as_object().into_iter().flatten().map(|(_, custom)| custom);
    let enabled: Vec<&Value> = [&providers["azureActiveDirectory"]]
        .into_iter()
        .chain(custom)
        .filter(|one| !one.is_null() && one["enabled"] != false)
        .collect();
    assert_eq!(platform.policies.len(), enabled.len());
    assert!(!enabled.is_empty());
    for (policy, provider) in platform.policies.iter().zip(enabled) {
        let texts = |value: &Value| -> BTreeSet<String> {
            value.as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
        };
        let validation = &provider["validation"];
        let (old, new) = (&validation["jwtClaimChecks"], &validation["defaultAuthorizationPolicy"]);
        let either =
            |old: &Value, new: &Value| -> BTreeSet<String> { texts(old).union(&texts(new)).cloned().collect() };
        let principals = &new["allowedPrincipals"];
        let mut audiences = texts(&validation["allowedAudiences"]);
        audiences.insert(provider["registration"]["clientId"].as_str().expect("a text").to_owned());
        for (ours, theirs) in [
            (&policy.rules.audiences, audiences),
            (&policy.rules.applications, either(&old["allowedClientApplications"], &new["allowedApplications"])),
            (&policy.rules.groups, either(&old["allowedGroups"], &principals["groups"])),
            (&policy.rules.identities, texts(&principals["identities"])),
        ] {
            assert_eq!(ours.iter().cloned().collect::<BTreeSet<_>>(), theirs);
        }
        assert!(
            policy.rules.issuers.iter().all(|issuer| !issuer.contains("{tenantid}") || policy.rules.tenants == ["t"])
        );
    }
}

/// Splits a path into segments as the most lenient reader would.
fn meant(path: &str) -> Vec<String> {
    let mut bytes = Vec::new();
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        let escaped = rest.strip_prefix('%').and_then(|rest| u8::from_str_radix(rest.get(..2)?, 16).ok());
        let taken = escaped.map_or(first.len_utf8(), |_| 3);
        match escaped {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(&rest.as_bytes()[..taken]),
        }
        rest = &rest[taken..];
    }
    let mut segments = Vec::new();
    for segment in String::from_utf8_lossy(&bytes).split(['/', '\\']) {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment.to_owned()),
        }
    }
    segments
}
