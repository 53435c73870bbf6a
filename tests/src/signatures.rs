//! Signatures of tokens: the verdicts of Wycheproof and of the RFCs, for each type of key in core.

use crate::vectors::folder;
use attache_core::auth::{Algorithm, Denied, EdDsa, Es256, Jwk, Jws, Public, Rs256, Verify};
use attache_core::json;
use serde_json::Value;

fn read(file: &str) -> Value {
    let text = std::fs::read(folder().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    serde_json::from_slice(&text).unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Calls `with` with the key in `jwk`, if there is one.
fn with_key<T>(jwk: &Value, with: impl FnOnce(Option<&dyn Verify>) -> T) -> T {
    let text = jwk.to_string();
    let mut scratch = [0; 1024];
    let value = json::Value::parse(text.as_bytes()).unwrap();
    match Jwk::read(&value, &mut scratch).map(|jwk| jwk.public) {
        Some(Public::Rsa(n, e)) => with(Rs256::new(n, e).as_ref().map(|key| key as &dyn Verify)),
        Some(Public::P256(x, y)) => with(Es256::new(x, y).as_ref().map(|key| key as &dyn Verify)),
        Some(Public::Ed25519(x)) => with(EdDsa::new(x).as_ref().map(|key| key as &dyn Verify)),
        // These algorithms are not part of core.
        Some(_) | None => with(None),
    }
}

/// Counts the signatures in `file`; each must get the verdict of Wycheproof.
fn judged(file: &str, jwk: impl Fn(&Value) -> Value) -> usize {
    let mut judged = 0;
    for group in read(&format!("wycheproof/{file}_test.json"))["testGroups"].as_array().unwrap() {
        with_key(&jwk(group), |key| {
            for test in group["tests"].as_array().unwrap() {
                let (message, signature) = (hex(&test["msg"]), hex(&test["sig"]));
                let good = key.is_some_and(|key| key.verify(&message, &signature).is_ok());
                // "acceptable" is a signature that a lenient reader accepts: the DER of the hash
                // lacks a NULL.
                //
                // Keys here have no other exponent than 65537, and neither have the keys of
                // issuers.
                let served = group["publicKey"]["publicExponent"].as_str().is_none_or(|exponent| exponent == "010001");
                assert_eq!(good, served && test["result"] == "valid", "{file} {}: {}", test["tcId"], test["comment"]);
                judged += 1;
            }
        });
    }
    judged
}

#[test]
fn rsa_signatures_are_judged_as_wycheproof_judges_them() {
    let jwk = |group: &Value| {
        let number = |name: &str| {
            let bytes = hex(&group["publicKey"][name]);
            base64url(bytes.strip_prefix(&[0]).unwrap_or(&bytes))
        };
        serde_json::json!({"kty": "RSA", "n": number("modulus"), "e": number("publicExponent")})
    };
    let tests = [2048, 3072, 4096].map(|bits| judged(&format!("rsa_signature_{bits}_sha256"), jwk));
    assert!(tests.iter().all(|&tests| tests > 100), "{tests:?}");
}

#[test]
fn p256_signatures_are_judged_as_wycheproof_judges_them() {
    let jwk = |group: &Value| {
        let point = hex(&group["publicKey"]["uncompressed"]);
        serde_json::json!({"kty": "EC", "crv": "P-256", "x": base64url(&point[1..33]), "y": base64url(&point[33..])})
    };
    assert!(judged("ecdsa_secp256r1_sha256_p1363", jwk) > 100);
}

#[test]
fn ed25519_signatures_are_judged_as_wycheproof_judges_them() {
    assert!(judged("ed25519", |group| group["publicKeyJwk"].clone()) > 50);
}

fn base64url(bytes: &[u8]) -> String {
    crate::tokens::base64url(bytes)
}

#[test]
fn tokens_of_wycheproof_are_good_with_the_algorithms_that_are_served_alone() {
    let mut good = 0;
    for file in ["signature", "key"] {
        for group in read(&format!("wycheproof/json_web_{file}_test.json"))["testGroups"].as_array().unwrap() {
            let key = if group["public"].is_null() { &group["private"] } else { &group["public"] };
            // A key set: every key has to refuse, because the test does not select a key by name.
            let keys = key["keys"].as_array().cloned().unwrap_or_else(|| vec![key.clone()]);
            for test in group["tests"].as_array().unwrap() {
                let Some(token) = test["jws"].as_str() else { continue };
                for key in &keys {
                    let verified = with_key(key, |key| key.is_some_and(|key| opens(token, key)));
                    let served = matches!(key["alg"].as_str(), Some("RS256" | "ES256" | "EdDSA"));
                    let expected = test["result"] == "valid" && served;
                    let told = format!("{file} {}: {} {}", test["tcId"], test["comment"], key["alg"]);
                    assert_eq!(verified, expected, "{told}");
                    good += usize::from(verified);
                }
            }
        }
    }
    assert!(good >= 8, "{good}");
}

fn opens(token: &str, key: &dyn Verify) -> bool {
    let mut scratch = vec![0; token.len()];
    Jws::read(token.as_bytes(), &mut scratch).is_ok_and(|token| token.verify(key).is_ok())
}

#[test]
fn tokens_of_the_rfcs_are_good_with_the_algorithms_that_are_served_alone() {
    let mut good = Vec::new();
    let cases = read("rfc-jose/cases.json");
    for case in cases.as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        let (token, jwk) = match (&case["files"], &case["doc"]) {
            (Value::Object(files), _) => {
                let file =
                    |end: &str| files.iter().find(|(name, _)| name.ends_with(end)).and_then(|(_, text)| text.as_str());
                let jwk = file(".jwk").map_or(Value::Null, |jwk| serde_json::from_str(jwk).unwrap());
                (file(".jwsc").map(str::to_owned), jwk)
            }
            (_, Value::Object(doc)) => (
                doc.get("output").and_then(|out| out["compact"].as_str()).map(str::to_owned),
                case["doc"]["input"]["key"].clone(),
            ),
            _ => (case["jwt"].as_str().map(str::to_owned), Value::Null),
        };
        let Some(token) = token else { continue };
        if with_key(&jwk, |key| key.is_some_and(|key| opens(token.trim(), key))) {
            good.push(id);
        }
    }
    assert_eq!(good, ["rfc7515_A.2", "rfc7515_A.3", "rfc8037:curve25519/jws"]);
}

#[test]
fn algorithm_is_that_of_the_key_whatever_the_token_says() {
    let jwk = read("rfc-jose/cases.json");
    let case = jwk.as_array().unwrap().iter().find(|case| case["id"] == "rfc7515_A.3").unwrap();
    let key: Value = serde_json::from_str(case["files"]["rfc7515_A.3.jwk"].as_str().unwrap()).unwrap();
    let token = case["files"]["rfc7515_A.3.jwsc"].as_str().unwrap();
    let (_, rest) = token.split_once('.').unwrap();
    for alg in ["none", "None", "HS256", "RS256", "ES384", "es256", "EdDSA", ""] {
        let token = format!("{}.{rest}", base64url(format!(r#"{{"alg":"{alg}"}}"#).as_bytes()));
        let mut scratch = [0; 512];
        with_key(&key, |key| {
            let denied = Jws::read(token.as_bytes(), &mut scratch).unwrap().verify(key.unwrap()).unwrap_err();
            assert_eq!(denied, Denied::Algorithm { key: Algorithm::Es256, came: alg.as_bytes() });
        });
    }
}

#[test]
fn rsa_keys_of_other_sizes_and_exponents_are_none() {
    let modulus = |len: usize, first: u8, last: u8| {
        let mut modulus = vec![0x5A; len];
        (modulus[0], modulus[len - 1]) = (first, last);
        modulus
    };
    for (len, first, last, exponent, good) in [
        (256, 0x80, 1, &[1, 0, 1][..], true),
        (257, 0x01, 1, &[1, 0, 1], true),
        (512, 0xFF, 1, &[1, 0, 1], true),
        (256, 0x7F, 1, &[1, 0, 1], false),
        (513, 0x01, 1, &[1, 0, 1], false),
        (256, 0x80, 2, &[1, 0, 1], false),
        (257, 0x00, 1, &[1, 0, 1], false),
        (256, 0x80, 1, &[3], false),
        (256, 0x80, 1, &[0, 1, 0, 1], false),
        (256, 0x80, 1, &[], false),
    ] {
        assert_eq!(
            Rs256::new(&modulus(len, first, last), exponent).is_some(),
            good,
            "{len} {first} {last} {exponent:?}"
        );
    }
    assert!(Rs256::new(&[], &[1, 0, 1]).is_none());
}
