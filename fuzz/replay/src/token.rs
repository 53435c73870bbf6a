//! Checks the `Authorization` header, its token, and the token's claims against serde_json and a
//! slow Base64.

use attache_core::auth::{Bearer, Rules};
use serde_json::Value;

const NOW: u64 = 1_800_000_000;
const RULES: Rules<'_> =
    Rules { issuers: &["https://id.example"], audiences: &["https://api.example/mcp"], ..Rules::NONE };

/// Checks that a token reaches the signature check only if a second reader finds it valid too.
///
/// The input is the header, a line feed, and the claims; or, if it begins with `Bearer`, the value
/// of a whole `Authorization` header.
pub fn token(input: &[u8]) {
    let made;
    let value = match input.iter().position(|&byte| byte == b'\n') {
        Some(end) if !input.starts_with(b"Bearer") => {
            let (header, claims) = (&input[..end], &input[end + 1..]);
            made = format!("Bearer {}.{}.{}", written(header), written(claims), written(&[7; 64]));
            made.as_bytes()
        }
        _ => input,
    };
    let Ok(Some(bearer)) = Bearer::parse(value) else {
        return;
    };
    let token = core::str::from_utf8(bearer.as_bytes()).expect("only characters of ASCII are let through");
    // The scratch buffer has exactly the documented size.
    let mut scratch = vec![0; token.len() * 3 / 4];
    let Ok(claimed) = bearer.read(None, &mut scratch) else {
        return;
    };
    let parts: Vec<Vec<u8>> = token.split('.').map(|part| read(part).expect("canonical")).collect();
    assert_eq!(parts.len(), 3);
    let [header, claims] = [&parts[0], &parts[1]].map(|part| serde_json::from_slice::<Value>(part).expect("JSON"));
    assert!(header["alg"].is_string());
    for name in ["crit", "b64", "zip", "nonce", "cty"] {
        assert!(header.get(name).is_none(), "{name} passed");
    }
    let Ok(candidate) = claimed.check(&RULES, Some(NOW)) else {
        return;
    };
    assert_eq!(candidate.alg().chars().collect::<String>(), header["alg"].as_str().unwrap());
    assert_eq!(candidate.kid().chars().collect::<String>(), header["kid"].as_str().unwrap_or_default());
    assert_eq!(claims["iss"], RULES.issuers[0]);
    for name in ["at_hash", "c_hash", "s_hash", "events", "cnf"] {
        assert!(claims.get(name).is_none_or(Value::is_null), "{name} passed");
    }
    let audience = Value::from(RULES.audiences[0]);
    assert!(claims["aud"] == audience || claims["aud"].as_array().is_some_and(|all| all.contains(&audience)));
    let leeway = RULES.leeway as f64;
    assert!(claims["exp"].as_f64().unwrap() + leeway > NOW as f64);
    for name in ["nbf", "iat"] {
        assert!(claims.get(name).is_none_or(|time| time.as_f64().unwrap() < NOW as f64 + leeway + 1.0), "{name}");
    }
}

const CHARS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn written(bytes: &[u8]) -> String {
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let sextets = bits.as_bytes().chunks(6).map(|bits| format!("{:0<6}", core::str::from_utf8(bits).expect("digits")));
    sextets.map(|bits| CHARS[usize::from_str_radix(&bits, 2).expect("digits")] as char).collect()
}

/// Decodes Base64url, and returns `None` unless the text is the only encoding of the bytes.
pub(crate) fn read(text: &str) -> Option<Vec<u8>> {
    let place = |char: u8| CHARS.iter().position(|&known| known == char);
    let bits: String = text.bytes().map(|char| place(char).map(|at| format!("{at:06b}"))).collect::<Option<_>>()?;
    let whole = bits.as_bytes().chunks_exact(8).map(|bits| core::str::from_utf8(bits).expect("digits"));
    let bytes: Vec<u8> = whole.map(|bits| u8::from_str_radix(bits, 2).expect("digits")).collect();
    (written(&bytes) == text).then_some(bytes)
}
