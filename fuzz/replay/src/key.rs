//! Checks the reader of public keys (JWK) against serde_json and a slow Base64.

use crate::token::read;
use attache_core::auth::{Jwk, Public};
use attache_core::json::Reader;
use serde_json::Value;

/// Checks that a key is accepted only if a second reader finds the same key, meant for checking
/// signatures.
pub fn key(input: &[u8]) {
    let Some(value) = one(input) else { return };
    // More room than any key needs, so that no key is rejected for lack of room.
    let mut scratch = vec![0; input.len()];
    let Some(Jwk { kid, public, .. }) = Jwk::read(&value, &mut scratch) else { return };
    let seen: Value = match serde_json::from_slice(input) {
        Ok(seen) => seen,
        // Members that the key reader ignores may hold numbers that serde_json cannot represent.
        Err(_) => return,
    };
    // With repeated members our reader takes the first and serde_json the last.
    if repeats(&value) {
        return;
    }
    assert_eq!(kid.chars().collect::<String>(), seen["kid"].as_str().unwrap_or_default());
    assert!(seen.get("use").is_none_or(|purpose| purpose == "sig"));
    assert!(seen.get("alg").is_none_or(|alg| alg == public.algorithm().name()));
    assert!(seen.get("key_ops").is_none_or(|all| all.as_array().is_some_and(|all| all.contains(&"verify".into()))));
    let number = |name: &str| read(seen[name].as_str().expect("a text")).expect("canonical");
    match public {
        Public::Rsa(n, e) | Public::OtherRsa(_, n, e) => {
            assert_eq!((seen["kty"].as_str(), number("n"), number("e")), (Some("RSA"), n.into(), e.into()))
        }
        Public::P256(x, y) => {
            assert_eq!((seen["kty"].as_str(), number("x"), number("y")), (Some("EC"), x.into(), y.into()))
        }
        Public::P384(x, y) => {
            assert_eq!((seen["kty"].as_str(), number("x"), number("y")), (Some("EC"), x.into(), y.into()))
        }
        Public::Ed25519(x) => assert_eq!((seen["kty"].as_str(), number("x")), (Some("OKP"), x.into())),
        other => panic!("a kind of key without a check: {other:?}"),
    }
}

/// Returns the value in `text`, if nothing follows it.
fn one(text: &[u8]) -> Option<attache_core::json::Value<'_>> {
    let mut reader = Reader::new(text).ok()?;
    let item = reader.skip().ok()?;
    reader.end().ok()?;
    Some(item.of(text))
}

fn repeats(value: &attache_core::json::Value<'_>) -> bool {
    let mut reader = value.reader();
    let mut names = std::collections::HashSet::new();
    let Ok(Some(_)) = reader.enter_object() else { return false };
    while let Ok(Some(name)) = reader.key() {
        if !names.insert(name.chars().collect::<String>()) || reader.skip().is_err() {
            return true;
        }
    }
    false
}
