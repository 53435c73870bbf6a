//! Tokens and keys at the gate: the refusals of each rule. Every row differs from a good token in
//! one thing.

use attache_core::auth::{
    ANY, Access, Algorithm, ApiKey, Authenticated, Bearer, Denied, Es256, Fault, Forged, Gate, Kind, Rules, Shown,
    Verified, Verify, digest,
};
use attache_core::http::{Door, HeadFacts, LOOPBACK, Policy, Refusal, Resource, Unverified, challenge, gate, metadata};
use attache_core::json::Slice;
use base64::Engine as _;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};

pub(crate) const NOW: u64 = 1_800_000_000;
const SERVER: &str = "https://api.example/mcp";
const TENANT: &str = "66666666-7777-8888-9999-000000000000";
pub(crate) const RULES: Rules<'_> =
    Rules { issuers: &["https://id.example"], audiences: &[SERVER], applications: &["app"], ..Rules::NONE };

pub(crate) fn base64url(bytes: &[u8]) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn signing() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).unwrap()
}

pub(crate) fn key() -> Es256 {
    let point = signing().verifying_key().to_encoded_point(false);
    Es256::new((*point.x().unwrap()).as_ref(), (*point.y().unwrap()).as_ref()).unwrap()
}

pub(crate) fn token(header: &str, claims: &str) -> String {
    signed_by(&signing(), header, claims)
}

pub(crate) fn signed_by(key: &SigningKey, header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
    let signature: Signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", base64url(&signature.to_bytes()))
}

pub(crate) const HEADER: &str = r#"{"alg":"ES256","kid":"k1","typ":"at+jwt"}"#;

/// The claims of a good token, with these members added or replaced; `null` removes a member.
fn claims(changes: &str) -> String {
    let good = [
        ("iss", r#""https://id.example""#.to_owned()),
        ("sub", r#""ada""#.to_owned()),
        ("aud", format!("{SERVER:?}")),
        ("exp", (NOW + 600).to_string()),
        ("azp", r#""app""#.to_owned()),
        ("scp", r#""read write""#.to_owned()),
    ];
    let kept = good.iter().filter(|(name, _)| !changes.contains(&format!("{name:?}:")));
    let kept = kept.map(|(name, value)| format!("{name:?}:{value}"));
    let changes = changes.split_terminator(';').filter(|change| !change.ends_with(":null")).map(str::to_owned);
    format!("{{{}}}", kept.chain(changes).collect::<Vec<_>>().join(","))
}

/// Judges a token at [`NOW`].
fn judge<'t>(token: &'t str, rules: &Rules<'_>, scratch: &'t mut [u8]) -> Result<Verified<Vec<u8>>, String> {
    judge_at(token, rules, Some(NOW), scratch)
}

fn judge_at(token: &str, rules: &Rules<'_>, now: Option<u64>, scratch: &mut [u8]) -> Result<Verified<Vec<u8>>, String> {
    let Ok(Some(bearer)) = Bearer::parse(format!("Bearer {token}").leak().as_bytes()) else {
        return Err("no bearer".to_owned());
    };
    let said = |denied: Denied<'_>| format!("{:?} {denied}", denied.kind());
    let claimed = bearer.read(rules.scopes_in, scratch).map_err(said)?;
    let verified = claimed.check(rules, now).and_then(|candidate| candidate.verify(&key())).map_err(said)?;
    Ok(verified.keep().unwrap_or_else(|never| match never {}))
}

fn outcome(token: &str, rules: &Rules<'_>) -> Result<(), String> {
    judge(token, rules, &mut [0; 2048]).map(|_| ())
}

#[test]
fn claim_that_is_missing_of_another_type_or_there_twice_is_refused() {
    assert_eq!(outcome(&token(HEADER, &claims("")), &RULES), Ok(()));
    let rows = [
        (r#""iss":null"#, "iss", Fault::Missing),
        (r#""iss":1"#, "iss", Fault::Type),
        (r#""iss":["https://id.example"]"#, "iss", Fault::Type),
        (r#""iss":"https://id.example";"iss":"https://id.example""#, "iss", Fault::Repeated),
        (r#""iss":"https://id.example";"\u0069ss":"https://id.example""#, "iss", Fault::Repeated),
        (r#""sub":1"#, "sub", Fault::Type),
        (r#""sub":"a";"sub":"b""#, "sub", Fault::Repeated),
        (r#""aud":null"#, "aud", Fault::Missing),
        (r#""aud":{}"#, "aud", Fault::Type),
        (r#""aud":["https://api.example/mcp",1]"#, "aud", Fault::Type),
        (r#""aud":"https://api.example/mcp";"aud":"x""#, "aud", Fault::Repeated),
        (r#""exp":null"#, "exp", Fault::Missing),
        (r#""exp":"1800000600""#, "exp", Fault::Type),
        (r#""exp":-1"#, "exp", Fault::Type),
        (r#""exp":18e8"#, "exp", Fault::Type),
        (r#""exp":99999999999999999999"#, "exp", Fault::Type),
        (r#""exp":true"#, "exp", Fault::Type),
        (r#""exp":1800000600;"exp":1800000600"#, "exp", Fault::Repeated),
        (r#""nbf":"1""#, "nbf", Fault::Type),
        (r#""nbf":1;"nbf":1"#, "nbf", Fault::Repeated),
        (r#""iat":[]"#, "iat", Fault::Type),
        (r#""iat":1;"iat":1"#, "iat", Fault::Repeated),
        (r#""tid":1"#, "tid", Fault::Type),
        (r#""tid":"a";"tid":"a""#, "tid", Fault::Repeated),
        (r#""oid":{}"#, "oid", Fault::Type),
        (r#""oid":"a";"oid":"a""#, "oid", Fault::Repeated),
        (r#""azp":1"#, "azp", Fault::Type),
        (r#""azp":"app";"azp":"app""#, "azp", Fault::Repeated),
        (r#""azp":"app";"appid":"other""#, "azp, appid, client_id or cid", Fault::Repeated),
        (r#""azp":"app";"client_id":"other""#, "azp, appid, client_id or cid", Fault::Repeated),
        (r#""azp":"app";"cid":"other""#, "azp, appid, client_id or cid", Fault::Repeated),
        (r#""cid":["app"]"#, "cid", Fault::Type),
        (r#""cnf":{};"cnf":{}"#, "cnf", Fault::Repeated),
        (r#""scp":1"#, "scp", Fault::Type),
        (r#""scp":["a",null]"#, "scp", Fault::Type),
        (r#""scp":"a";"scp":"b""#, "scp", Fault::Repeated),
        (r#""scope":{}"#, "scope", Fault::Type),
        (r#""roles":1"#, "roles", Fault::Type),
        (r#""roles":["a"];"roles":["b"]"#, "roles", Fault::Repeated),
        (r#""groups":{}"#, "groups", Fault::Type),
        (r#""groups":["a"];"groups":["b"]"#, "groups", Fault::Repeated),
        (r#""idtyp":1"#, "idtyp", Fault::Type),
        (r#""idtyp":"app";"idtyp":"user""#, "idtyp", Fault::Repeated),
    ];
    for (change, name, fault) in rows {
        let expected = format!("Invalid {}", Denied::Claim(name, fault));
        assert_eq!(outcome(&token(HEADER, &claims(change)), &RULES), Err(expected), "{change}");
    }
}

#[test]
fn claims_of_other_shapes_that_mean_the_same_pass() {
    for change in [
        r#""aud":["other","https://api.example/mcp"]"#,
        r#""aud":"https:\/\/api.example\/mcp""#,
        r#""\u0069ss":"https://id.example";"iss":null"#,
        r#""exp":1800000600.25"#,
        r#""azp":null;"appid":"app""#,
        r#""azp":null;"client_id":"app""#,
        r#""azp":"app";"client_id":"app""#,
        r#""azp":null;"cid":"app""#,
        // Markers of other tokens that mark nothing.
        r#""at_hash": null"#,
        r#""cnf": null"#,
        r#""typ":"Bearer""#,
        r#""typ":7"#,
        r#""token_use":"access""#,
        r#""nonce":"n""#,
        r#""unknown":1;"unknown":2"#,
        r#""sub":null"#,
    ] {
        assert_eq!(outcome(&token(HEADER, &claims(change)), &RULES), Ok(()), "{change}");
    }
}

#[test]
fn token_one_second_outside_its_validity_is_refused() {
    let leeway = RULES.leeway;
    for (change, now, expected) in [
        (r#""exp":1000"#, 1000 + leeway - 1, Ok(())),
        (r#""exp":1000"#, 1000 + leeway, Err(Denied::Expired(0))),
        (r#""exp":1000"#, 1000 + leeway + 5, Err(Denied::Expired(5))),
        (r#""exp":9000;"nbf":1000"#, 1000 - leeway, Ok(())),
        (r#""exp":9000;"nbf":1000"#, 1000 - leeway - 1, Err(Denied::NotYet(1))),
        (r#""exp":9000;"iat":1000"#, 1000 - leeway, Ok(())),
        (r#""exp":9000;"iat":1000"#, 1000 - leeway - 1, Err(Denied::NotYet(1))),
        (r#""exp":18446744073709551615"#, u64::MAX - 1, Ok(())),
        (r#""exp":9000;"nbf":18446744073709551615"#, 0, Err(Denied::NotYet(u64::MAX - leeway))),
    ] {
        let token = token(HEADER, &claims(change));
        let judged = judge_at(&token, &RULES, Some(now), &mut [0; 2048]).map(|_| ());
        assert_eq!(judged, expected.map_err(|denied| format!("Invalid {denied}")), "{change} at {now}");
    }
    let judged = judge_at(&token(HEADER, &claims("")), &RULES, None, &mut [0; 2048]).map(|_| ());
    assert_eq!(judged, Err(format!("Invalid {}", Denied::NoClock)));
}

#[test]
fn header_that_asks_for_anything_special_is_refused() {
    for (header, expected) in [
        (r#"{"alg":"ES256"}"#, None),
        (r#"{"alg":"ES256","typ":"JWT"}"#, None),
        (r#"{"alg":"ES256","typ":"application/AT+JWT"}"#, None),
        (r#"{"\u0061lg":"ES256"}"#, None),
        // A token may not choose the location of its key; these members are ignored.
        (r#"{"alg":"ES256","jku":"https://evil.example","x5u":"https://evil.example","jwk":{},"x5c":[]}"#, None),
        (r#"{"typ":"JWT"}"#, Some(Denied::Header("alg", Fault::Missing))),
        (r#"{"alg":1}"#, Some(Denied::Header("alg", Fault::Type))),
        (r#"{"alg":"ES256","alg":"ES256"}"#, Some(Denied::Header("alg", Fault::Repeated))),
        (r#"{"alg":"ES256","\u0061lg":"none"}"#, Some(Denied::Header("alg", Fault::Repeated))),
        (r#"{"alg":"ES256","kid":1}"#, Some(Denied::Header("kid", Fault::Type))),
        (r#"{"alg":"ES256","kid":"a","kid":"b"}"#, Some(Denied::Header("kid", Fault::Repeated))),
        (r#"{"alg":"ES256","typ":"dpop+jwt"}"#, Some(Denied::Type(b"\"dpop+jwt\""))),
        (r#"{"alg":"ES256","typ":[]}"#, Some(Denied::Header("typ", Fault::Type))),
        (r#"{"alg":"ES256","crit":["exp"]}"#, Some(Denied::Extension("crit"))),
        (r#"{"alg":"ES256","crit":[]}"#, Some(Denied::Extension("crit"))),
        (r#"{"alg":"ES256","b64":false,"crit":["b64"]}"#, Some(Denied::Extension("crit"))),
        (r#"{"alg":"ES256","b64":true}"#, Some(Denied::Extension("b64"))),
        (r#"{"alg":"ES256","zip":"DEF"}"#, Some(Denied::Extension("zip"))),
        (r#"{"alg":"ES256","nonce":"x"}"#, Some(Denied::Extension("nonce"))),
        (r#"{"alg":"ES256","cty":"JWT"}"#, Some(Denied::Extension("cty"))),
        (r#"{"alg":"ES256"} x"#, Some(Denied::NotAnObject)),
        (r#"["ES256"]"#, Some(Denied::NotAnObject)),
        ("", Some(Denied::NotAnObject)),
    ] {
        let expected = expected.map_or(Ok(()), |denied| Err(format!("Invalid {denied}")));
        assert_eq!(outcome(&token(header, &claims("")), &RULES), expected, "{header}");
    }
}

// RFC 8725 §2.8 and §3.12
#[test]
fn token_that_is_not_a_bearer_access_token_is_refused() {
    const JWT: &str = r#"{"alg":"ES256","typ":"JWT"}"#;
    let not = |claim| Some(Denied::NotAccessToken(claim));
    for (header, change, expected) in [
        (HEADER, r#""at_hash":"x""#, not("at_hash")),
        (HEADER, r#""c_hash":"x""#, not("c_hash")),
        (JWT, r#""s_hash":"x""#, not("s_hash")),
        (JWT, r#""events":{"http://schemas.openid.net/event/backchannel-logout":{}}"#, not("events")),
        (JWT, r#""nonce":"x""#, not("nonce")),
        (r#"{"alg":"ES256"}"#, r#""nonce":"x""#, not("nonce")),
        (JWT, r#""\u006eonce":"x""#, not("nonce")),
        // It says of itself that it is an access token.
        (HEADER, r#""nonce":"x""#, None),
        // Keycloak and Amazon Cognito.
        (JWT, r#""typ":"ID""#, not("typ")),
        (JWT, r#""typ":"Refresh""#, not("typ")),
        (JWT, r#""typ":"Offline""#, not("typ")),
        (JWT, r#""token_use":"id""#, not("token_use")),
        (HEADER, r#""cnf":{"jkt":"x"}"#, Some(Denied::BoundToKey)),
        (HEADER, r#""cnf":{"x5t#S256":"x"}"#, Some(Denied::BoundToKey)),
        (HEADER, r#""cnf":"x""#, Some(Denied::BoundToKey)),
    ] {
        let expected = expected.map_or(Ok(()), |denied| Err(format!("Invalid {denied}")));
        assert_eq!(outcome(&token(header, &claims(change)), &RULES), expected, "{header} {change}");
    }
}

#[test]
fn token_that_was_issued_too_long_ago_is_refused_whatever_its_end() {
    let rules = Rules { max_age: Some(3600), ..RULES };
    let (age, leeway) = (3600, RULES.leeway);
    for (change, now, expected) in [
        (r#""iat":1000;"exp":99999"#, 1000 + age + leeway, Ok(())),
        (r#""iat":1000;"exp":99999"#, 1000 + age + leeway + 1, Err(Denied::TooOld(age + leeway + 1))),
        (r#""exp":99999"#, 1000, Err(Denied::Claim("iat", Fault::Missing))),
        (r#""iat":1000;"exp":1001"#, 9000, Err(Denied::Expired(9000 - 1001 - leeway))),
    ] {
        let token = token(HEADER, &claims(change));
        let judged = judge_at(&token, &rules, Some(now), &mut [0; 2048]).map(|_| ());
        assert_eq!(judged, expected.map_err(|denied| format!("Invalid {denied}")), "{change} at {now}");
    }
    // So is one that was verified while it was young enough.
    let verified = judge_at(&token(HEADER, &claims(r#""iat":1000;"exp":99999"#)), &rules, Some(1000), &mut [0; 2048]);
    let verified = verified.unwrap();
    assert_eq!(Authenticated::cached(&verified, &rules, Some(9000)).map(|_| ()), Err(Denied::TooOld(8000)));
}

/// A key that counts for one issuer alone.
struct Of<'i>(&'i str);

impl Verify for Of<'_> {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Es256
    }

    fn issuer(&self) -> Option<&str> {
        Some(self.0)
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Forged> {
        key().verify(message, signature)
    }
}

#[test]
fn key_that_names_its_issuer_counts_for_that_issuer_alone() {
    const A: &str = "11111111-7777-8888-9999-000000000000";
    const B: &str = "22222222-7777-8888-9999-000000000000";
    let entra = |tenant: &str| format!("https://login.example/{tenant}/v2.0");
    let old = |tenant: &str| format!("https://sts.example/{tenant}/");
    let (a, b, all, old_a) = (entra(A), entra(B), entra("{tenantid}"), old(A));
    let templates = [all.as_str(), "https://sts.example/{tenantid}/"];
    let of_a = [a.as_str(), old_a.as_str()];
    let several = [a.as_str(), b.as_str()];
    for (issuers, key, iss, tid, fits) in [
        (&templates[..], all.as_str(), a.as_str(), A, true),
        (&templates, &all, &b, B, true),
        (&templates, &a, &a, A, true),
        (&templates, &a, &b, B, false),
        (&templates, "https://login.other/{tenantid}/v2.0", &a, A, false),
        // Tokens of version 1, by keys that name the issuer of version 2.
        (&templates, &all, &old_a, A, true),
        (&templates, &b, &old_a, A, false),
        (&of_a, &all, &old_a, A, true),
        (&of_a, &a, &old_a, A, true),
        // Two tenants, each by its identifier.
        (&several, &all, &b, B, true),
        (&several, &a, &b, B, false),
        // A token that names no tenant, or a wrong one.
        (&several, &all, &a, "", false),
        (&several, &a, &a, "", true),
        (&several, &all, &a, B, false),
        (&["https://id.example"], "https://id.example", "https://id.example", "", true),
        (&["https://id.example"], "https://id.example/", "https://id.example", "", false),
        (&["https://id.example", "https://alias.example"], "https://id.example", "https://alias.example", "", false),
    ] {
        let rules = Rules { issuers, tenants: &[ANY], ..RULES };
        let changes =
            format!(r#""iss":"{iss}""#) + &if tid.is_empty() { String::new() } else { format!(r#";"tid":"{tid}""#) };
        let token = token(HEADER, &claims(&changes));
        let header = format!("Bearer {token}");
        let mut scratch = [0; 2048];
        let claimed = Bearer::parse(header.as_bytes()).unwrap().unwrap().read(None, &mut scratch).unwrap();
        let rules = if tid.is_empty() { Rules { tenants: &[], ..rules } } else { rules };
        let judged = claimed.check(&rules, Some(NOW)).unwrap().verify(&Of(key)).map(|_| ());
        assert_eq!(judged, if fits { Ok(()) } else { Err(Denied::KeyOfOtherIssuer) }, "{key}: {iss} {tid}");
        assert_eq!(claimed.fits_key(&rules, &Of(key)), fits);
    }
}

#[test]
fn token_that_is_changed_in_form_is_refused() {
    let good = token(HEADER, &claims(""));
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    // The last character of a signature of 64 bytes has four unused bits.
    let spare = format!("{}{}", &signature[..85], char::from(signature.as_bytes()[85] + 1));
    for (changed, expected) in [
        (format!("{header}.{payload}"), Denied::NotCompact),
        (format!("{header}.{payload}.{signature}.x.y"), Denied::NotCompact),
        (format!("{header}..{payload}.{signature}"), Denied::NotCompact),
        (format!("{header}.{payload}.{signature}=="), Denied::NotBase64url),
        (format!("{header}.{payload}.{spare}"), Denied::NotBase64url),
        (format!("{header}.{payload}.+{}", &signature[1..]), Denied::NotBase64url),
        (format!("{header}.{payload}."), Denied::Signature),
        (format!("{header}.{payload}.{}", &signature[..84]), Denied::Signature),
        (format!("{header}.{}.{signature}", base64url(claims(r#""sub":"eve""#).as_bytes())), Denied::Signature),
        (format!("{}.{payload}.{signature}", base64url(br#"{"alg":"ES256"}"#)), Denied::Signature),
        (format!("{header}.{payload}.{}", "A".repeat(4000)), Denied::TooLong),
    ] {
        assert_eq!(outcome(&changed, &RULES), Err(format!("Invalid {expected}")), "{changed}");
    }
    for at in 0..good.len() {
        let mut changed = good.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert!(outcome(core::str::from_utf8(&changed).unwrap(), &RULES).is_err(), "byte {at}");
    }
}

#[test]
fn token_of_another_issuer_or_for_another_server_is_refused() {
    for (change, expected) in [
        (r#""iss":"https://id.example/""#, Denied::Issuer(b"https://id.example/")),
        (r#""iss":"https://ID.example""#, Denied::Issuer(b"https://ID.example")),
        (r#""iss":"""#, Denied::Issuer(b"")),
        (r#""aud":"https://api.example/mcp/""#, Denied::Audience(br#""https://api.example/mcp/""#)),
        (r#""aud":"https://api.example""#, Denied::Audience(br#""https://api.example""#)),
        (r#""aud":[]"#, Denied::Audience(b"[]")),
        (r#""aud":["a","b"]"#, Denied::Audience(br#"["a","b"]"#)),
    ] {
        assert_eq!(outcome(&token(HEADER, &claims(change)), &RULES), Err(format!("Invalid {expected}")), "{change}");
    }
}

const TEMPLATE: &[&str] = &["https://id.example/{tenantid}/v2.0"];
const APP_ONLY: &str = r#""scp":null;"idtyp":"app";"oid":"s";"sub":"s""#;

#[test]
fn holder_of_a_good_token_calls_as_the_policy_says() {
    let tenant = format!(r#""iss":"https://id.example/{TENANT}/v2.0";"tid":"{TENANT}""#);
    let odd = r#""iss":"https://id.example/a/../b/v2.0";"tid":"a/../b""#;
    let role = format!(r#"{APP_ONLY};"roles":["r"]"#);
    let any = Rules { applications: &[ANY], ..RULES };
    let rows: &[(&str, Rules<'_>, Result<(), Denied<'_>>)] = &[
        (r#""azp":"other""#, RULES, Err(Denied::Application(b"other"))),
        (r#""azp":null"#, RULES, Err(Denied::Application(b""))),
        (r#""azp":"other""#, any, Ok(())),
        (r#""azp":null"#, any, Ok(())),
        // `*` means "any" only if it is the only entry; next to others it is a name.
        (r#""azp":"other""#, Rules { applications: &["app", ANY], ..RULES }, Err(Denied::Application(b"other"))),
        // Without a list only the application itself is allowed: it is its own audience.
        ("", Rules { applications: &[], ..RULES }, Err(Denied::Application(b"app"))),
        (r#""aud":"app""#, Rules { applications: &[], audiences: &["app"], ..RULES }, Ok(())),
        (APP_ONLY, RULES, Ok(())),
        (APP_ONLY, any, Err(Denied::AppWithoutRole)),
        (r#""scp":null;"oid":"s";"sub":"s""#, any, Err(Denied::AppWithoutRole)),
        (&role, any, Ok(())),
        (&tenant, Rules { issuers: TEMPLATE, tenants: &[TENANT], ..RULES }, Ok(())),
        (&tenant, Rules { issuers: TEMPLATE, tenants: &[ANY], ..RULES }, Ok(())),
        (&tenant, Rules { issuers: TEMPLATE, ..RULES }, Err(Denied::Tenant(TENANT.as_bytes()))),
        (&tenant, Rules { issuers: TEMPLATE, tenants: &["other"], ..RULES }, Err(Denied::Tenant(TENANT.as_bytes()))),
        (
            odd,
            Rules { issuers: TEMPLATE, tenants: &[ANY], ..RULES },
            Err(Denied::Issuer(b"https://id.example/a/../b/v2.0")),
        ),
        ("", Rules { tenants: &[TENANT], ..RULES }, Err(Denied::Tenant(b""))),
        ("", Rules { identities: &["ada"], ..RULES }, Ok(())),
        ("", Rules { identities: &["eve"], ..RULES }, Err(Denied::Principal(b"ada"))),
        // If there is an `oid`, it identifies the principal: `sub` is different for each
        // application.
        (r#""oid":"o1""#, Rules { identities: &["o1"], ..RULES }, Ok(())),
        (r#""oid":"o1""#, Rules { identities: &["ada"], ..RULES }, Err(Denied::Principal(b"o1"))),
        (r#""groups":["g1","g2"]"#, Rules { groups: &["g2"], ..RULES }, Ok(())),
        (r#""groups":["g1"]"#, Rules { groups: &["g2"], ..RULES }, Err(Denied::Principal(b"ada"))),
        (r#""groups":["g1"]"#, Rules { groups: &["g2"], identities: &["ada"], ..RULES }, Ok(())),
        (r#""hasgroups":true"#, Rules { groups: &["g2"], ..RULES }, Err(Denied::GroupsOverage)),
        (r#""_claim_names":{"groups":"src1"}"#, Rules { groups: &["g2"], ..RULES }, Err(Denied::GroupsOverage)),
    ];
    for (change, rules, expected) in rows {
        let expected = expected.map_err(|denied| {
            let kind = if matches!(denied, Denied::Issuer(_)) { Kind::Invalid } else { Kind::Forbidden };
            format!("{kind:?} {denied}")
        });
        assert_eq!(outcome(&token(HEADER, &claims(change)), rules), expected, "{change} {rules:?}");
    }
}

#[test]
fn policy_is_asked_only_when_the_signature_is_good() {
    let forged = token(HEADER, &claims(r#""azp":"other""#));
    let (signed, _) = forged.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", "A".repeat(86));
    assert_eq!(outcome(&forged, &RULES), Err(format!("Invalid {}", Denied::Signature)));
}

#[test]
fn verified_token_used_again_is_held_against_time_and_generation() {
    let verified = judge(&token(HEADER, &claims("")), &RULES, &mut [0; 2048]).unwrap();
    let again = |rules: &Rules<'_>, now| Authenticated::cached(&verified, rules, now).map(|_| ());
    assert_eq!(again(&RULES, Some(NOW)), Ok(()));
    assert_eq!(again(&Rules { generation: 1, ..RULES }, Some(NOW)), Err(Denied::Outdated));
    assert_eq!(again(&RULES, Some(NOW + 600 + RULES.leeway)), Err(Denied::Expired(0)));
    assert_eq!(again(&RULES, None), Err(Denied::NoClock));
    let who = Authenticated::token(&verified);
    let claims = who.claims().unwrap();
    assert!(claims.subject().is("ada") && claims.application().is("app") && claims.issuer().is("https://id.example"));
    assert!(claims.has_scope("read") && claims.has_scope("write") && !claims.has_scope("rea") && !claims.has_scope(""));
}

#[test]
fn scopes_are_in_the_claim_that_the_policy_names() {
    let rules = Rules { scopes_in: Some("permissions"), ..RULES };
    let fault = |fault| Err(format!("Invalid {}", Denied::Claim("of scopes", fault)));
    for (change, expected) in [
        (r#""permissions":["read:plant","write"]"#, Ok([true, false])),
        (r#""permissions":"use read:plant""#, Ok([true, false])),
        (r#""\u0070ermissions":"read:plant""#, Ok([true, false])),
        // What is in the usual claim does not count.
        ("", Ok([false, false])),
        (r#""permissions":["a"];"permissions":["read:plant"]"#, fault(Fault::Repeated)),
        (r#""permissions":7"#, fault(Fault::Type)),
        (r#""permissions":["read:plant",7]"#, fault(Fault::Type)),
    ] {
        let verified = judge(&token(HEADER, &claims(change)), &rules, &mut [0; 2048]);
        let has = verified.map(|verified| {
            let who = Authenticated::token(&verified);
            ["read:plant", "read"].map(|scope| who.claims().unwrap().has_scope(scope))
        });
        assert_eq!(has, expected, "{change}");
    }
}

#[test]
fn identity_tells_subjects_applications_and_issuers_apart() {
    let identity = |change: &str| {
        let any = Rules { issuers: &["https://id.example", "i"], applications: &[ANY], ..RULES };
        let verified = judge(&token(HEADER, &claims(change)), &any, &mut [0; 2048]).unwrap();
        Authenticated::token(&verified).identity().to_vec()
    };
    let all = [
        "",
        r#""sub":"eve""#,
        r#""azp":"other""#,
        r#""iss":"i""#,
        r#""sub":"adaa";"azp":"pp""#,
        // Two objects, and one object in two tenants.
        r#""oid":"o1""#,
        r#""oid":"o2""#,
        r#""oid":"o1";"tid":"t1""#,
        r#""oid":"o1";"tid":"t2""#,
        r#""sub":null;"oid":"o1""#,
        r#""sub":null;"oid":"o2""#,
        // A name in one claim is not the same name in another.
        r#""sub":null;"oid":"ada""#,
    ];
    let all = all.map(identity);
    assert!((0..all.len()).all(|a| (0..a).all(|b| all[a] != all[b])));
    assert_eq!(all[0], identity(r#""exp":1800000700;"scp":"other""#));
    assert_eq!(Authenticated::anonymous(&Access::Anonymous).identity(), b"");
}

#[test]
fn holder_of_a_token_that_names_neither_person_nor_application_is_not_told_from_others() {
    let any = Rules { applications: &[ANY], ..RULES };
    let of = |change: &str| judge(&token(HEADER, &claims(change)), &any, &mut [0; 2048]).unwrap();
    for (change, distinct, is_application) in [
        ("", true, false),
        (r#""sub":null;"azp":null"#, false, false),
        (r#""sub":"";"azp":"""#, false, false),
        (r#""sub":null;"azp":null;"oid":"o""#, true, false),
        // A client's own token may name nothing but the client.
        (r#""sub":null"#, true, false),
        (r#""sub":null;"azp":null;"cid":"app";"roles":["r"];"scp":null"#, true, true),
    ] {
        let verified = of(change);
        let who = Authenticated::token(&verified);
        assert_eq!((who.is_distinct(), who.claims().unwrap().is_application()), (distinct, is_application), "{change}");
    }
    // Each token is a holder of its own.
    let [one, other] = [r#""sub":null;"azp":null"#, r#""sub":null;"azp":null;"jti":"2""#].map(of);
    assert_ne!(Authenticated::token(&one).identity(), Authenticated::token(&other).identity());
    assert!(Authenticated::anonymous(&Access::Anonymous).is_distinct());
}

#[test]
fn key_that_is_known_lets_in_under_its_name() {
    let keys = [ApiKey::new("ci", digest(b"first")), ApiKey::new("ops", digest(b"second"))];
    let name = |value: &'static [u8]| Shown::new(value).check(&keys).map(|who| who.key_name().unwrap().to_owned());
    assert_eq!(name(b"first"), Ok("ci".to_owned()));
    assert_eq!(name(b"second"), Ok("ops".to_owned()));
    for other in [&b""[..], b"firs", b"first ", b"First", &digest(b"first").leak()[..]] {
        assert_eq!(name(other), Err(Denied::UnknownKey));
    }
    assert_eq!(Shown::new(b"first").check::<&str>(&[]).map(|_| ()), Err(Denied::UnknownKey));
}

trait Leak {
    fn leak(self) -> &'static mut [u8];
}

impl Leak for [u8; 32] {
    fn leak(self) -> &'static mut [u8] {
        Vec::from(self).leak()
    }
}

/// Returns the decision of a gate of this kind on a head with these additional fields.
fn at_the_door(gate_kind: Gate, fields: &[(&'static str, &'static str)]) -> Result<&'static str, Refusal> {
    let mut facts = HeadFacts::new(b"POST");
    for (name, value) in [("host", "localhost"), ("content-type", "application/json")].iter().chain(fields) {
        facts.note(name.as_bytes(), value.as_bytes());
    }
    match gate(&facts, &Policy { hosts: LOOPBACK, origins: &[], access: gate_kind }) {
        Door::In(_) => Ok("in"),
        Door::NeedKey(Unverified::Token(_)) => Ok("token"),
        Door::NeedKey(Unverified::Key(_)) => Ok("key"),
        Door::NeedKey(Unverified::Both(..)) => Ok("both"),
        Door::NeedKey(Unverified::Platform) => Ok("platform"),
        Door::Out(refusal) => Err(refusal),
    }
}

#[test]
fn credentials_are_asked_for_as_the_gate_says() {
    const TOKEN: (&str, &str) = ("Authorization", "Bearer a.b.c");
    const KEY: (&str, &str) = ("X-Functions-Key", "secret");
    for (gate, fields, expected) in [
        (Gate::Open(Access::Anonymous), &[TOKEN, KEY][..], Ok("in")),
        (Gate::Token, &[], Err(Refusal::NoToken)),
        (Gate::Token, &[KEY], Err(Refusal::NoToken)),
        (Gate::Token, &[TOKEN], Ok("token")),
        (Gate::Token, &[TOKEN, TOKEN], Err(Refusal::Credentials)),
        (Gate::Token, &[("authorization", "Basic YTpi")], Err(Refusal::NoToken)),
        (Gate::Token, &[("authorization", "Bearer a b")], Err(Refusal::Credentials)),
        // RFC 6750 §3.1: nothing was shown.
        (Gate::Token, &[("authorization", "Bearer")], Err(Refusal::NoToken)),
        (Gate::Token, &[("authorization", "bearer  ")], Err(Refusal::NoToken)),
        (Gate::Token, &[("authorization", "")], Err(Refusal::NoToken)),
        (Gate::Either, &[("authorization", "Bearer"), KEY], Ok("key")),
        (Gate::Optional, &[("authorization", "Bearer")], Ok("in")),
        (Gate::Key, &[], Err(Refusal::NoKey)),
        (Gate::Key, &[TOKEN], Err(Refusal::NoKey)),
        (Gate::Key, &[KEY], Ok("key")),
        (Gate::Key, &[("x-functions-key", "")], Err(Refusal::NoKey)),
        (Gate::Key, &[KEY, KEY], Err(Refusal::Credentials)),
        (Gate::Either, &[], Err(Refusal::NoToken)),
        (Gate::Either, &[TOKEN], Ok("token")),
        (Gate::Either, &[KEY], Ok("key")),
        (Gate::Either, &[KEY, TOKEN], Ok("token")),
        (Gate::Both, &[], Err(Refusal::NoToken)),
        (Gate::Both, &[TOKEN], Err(Refusal::NoKey)),
        (Gate::Both, &[KEY], Err(Refusal::NoToken)),
        (Gate::Both, &[KEY, TOKEN], Ok("both")),
        (Gate::Optional, &[], Ok("in")),
        (Gate::Optional, &[KEY], Ok("in")),
        (Gate::Optional, &[("authorization", "Basic YTpi")], Ok("in")),
        (Gate::Optional, &[TOKEN], Ok("token")),
        (Gate::Optional, &[TOKEN, TOKEN], Err(Refusal::Credentials)),
        // The adapter reads the platform's header; other credentials count for nothing.
        (Gate::Platform, &[], Ok("platform")),
        (Gate::Platform, &[TOKEN, TOKEN, KEY], Ok("platform")),
    ] {
        assert_eq!(at_the_door(gate, fields), expected, "{gate:?} {fields:?}");
    }
}

#[test]
fn challenge_says_what_is_missing_and_never_why() {
    let resource = Resource::new("https://gw.example:8443/plant/mcp").unwrap();
    let said = |refusal, resource: Option<&Resource<'_>>, scopes: &[&'static str]| {
        let mut buffer = [0; 256];
        let mut out = Slice::new(&mut buffer);
        challenge(refusal, resource, scopes.iter().copied(), &mut out).unwrap();
        String::from_utf8(out.written().to_vec()).unwrap()
    };
    const WHERE: &str = r#"resource_metadata="https://gw.example:8443/.well-known/oauth-protected-resource/plant/mcp""#;
    for (refusal, scopes, expected) in [
        (Refusal::NoToken, &[][..], format!("Bearer {WHERE}")),
        (Refusal::NoToken, &["a", "b"], format!(r#"Bearer {WHERE}, scope="a b""#)),
        (Refusal::NoToken, &["offline_access", "a"], format!(r#"Bearer {WHERE}, scope="a""#)),
        (Refusal::BadToken, &["a"], format!(r#"Bearer error="invalid_token", {WHERE}, scope="a""#)),
        (Refusal::Credentials, &[], format!(r#"Bearer error="invalid_request", {WHERE}"#)),
        (Refusal::Scope, &["w"], format!(r#"Bearer error="insufficient_scope", {WHERE}, scope="w""#)),
        (Refusal::NoKey, &["a"], r#"Key realm="mcp", header="x-functions-key""#.to_owned()),
        (Refusal::Forbidden, &["a"], String::new()),
        (Refusal::Host, &["a"], String::new()),
    ] {
        assert_eq!(said(refusal, Some(&resource), scopes), expected, "{refusal:?}");
    }
    assert_eq!(said(Refusal::NoToken, None, &[]), "Bearer");
    assert_eq!(said(Refusal::NoToken, None, &["a", "b"]), r#"Bearer scope="a b""#);
    assert_eq!(said(Refusal::BadToken, None, &[]), r#"Bearer error="invalid_token""#);
    assert_eq!(said(Refusal::BadToken, None, &["a"]), r#"Bearer error="invalid_token", scope="a""#);
}

#[test]
fn metadata_names_the_endpoint_and_its_issuers() {
    let said = |url, issuers: &[&'static str], scopes: &[&'static str]| {
        let mut buffer = [0; 512];
        let mut out = Slice::new(&mut buffer);
        let resource = Resource::new(url).unwrap();
        metadata(&resource, issuers.iter().copied(), scopes.iter().copied(), &mut out).unwrap();
        String::from_utf8(out.written().to_vec()).unwrap()
    };
    assert_eq!(
        said("https://gw.example/plant/mcp", &["https://id.example"], &["relay:read", "offline_access"]),
        concat!(
            r#"{"resource":"https://gw.example/plant/mcp","authorization_servers":["https://id.example"],"#,
            r#""scopes_supported":["relay:read"],"bearer_methods_supported":["header"]}"#
        )
    );
    assert_eq!(
        said("https://gw.example", &["https://a.example", "https://b.example"], &[]),
        concat!(
            r#"{"resource":"https://gw.example","authorization_servers":["https://a.example","https://b.example"],"#,
            r#""bearer_methods_supported":["header"]}"#
        )
    );
}

#[test]
fn metadata_path_stands_between_host_and_path() {
    for (url, expected) in [
        ("https://a.example/mcp", Some("https://a.example/.well-known/oauth-protected-resource/mcp")),
        ("HTTPS://A.example:1/x/y", Some("HTTPS://A.example:1/.well-known/oauth-protected-resource/x/y")),
        ("https://a.example", Some("https://a.example/.well-known/oauth-protected-resource")),
        ("https://a.example/", Some("https://a.example/.well-known/oauth-protected-resource")),
        ("http://[::1]:80/mcp", Some("http://[::1]:80/.well-known/oauth-protected-resource/mcp")),
        ("a.example/mcp", None),
        ("ftp://a.example/mcp", None),
        ("https:///mcp", None),
        ("https://a.example/mcp#x", None),
        ("https://a.example/mcp?x", None),
        ("https://a.example/\"", None),
        ("https://a.example/\u{e9}", None),
        ("https://a.example/ b", None),
    ] {
        let url = Resource::new(url).map(|resource| resource.metadata_url().concat());
        assert_eq!(url.as_deref(), expected);
    }
}
