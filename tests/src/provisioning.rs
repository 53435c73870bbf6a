//! Pages of flash that configure the access to a device.

use crate::journal::Memory;
use crate::tokens::{HEADER, NOW, key, token};
use ::core::net::{Ipv4Addr, SocketAddrV4};
use attache_core::auth::{ApiKey, Bearer, Denied, Gate, IssuerKeys, IssuerPolicy, Public, Shown, digest};
use attache_core::journal::Journal;
use attache_core::provision::{Blank, Boot, IssuerKey, List, Page, TooLarge, random};

fn list<'t>(texts: &[&'t str]) -> List<'t> {
    List::from_slice(texts).expect("room for them")
}

/// A page with an entry of every kind; the issuer's key is that of the tests.
fn page<'p>(x: &'p [u8; 32], y: &'p [u8; 32]) -> Page<'p> {
    let mut page = Page {
        written: 1_700_000_000,
        gate: Gate::Either,
        hosts: list(&["gateway.local", "192.168.1.50"]),
        resource: "http://gateway.local/mcp",
        tokens: IssuerPolicy {
            issuers: list(&["https://id.example"]),
            audiences: list(&["https://api.example/mcp"]),
            applications: list(&["app"]),
            leeway: 5,
            max_age: Some(3600),
            ..IssuerPolicy::default()
        },
        scopes: list(&["read"]),
        time_server: Some((Ipv4Addr::new(192, 168, 1, 1), 123)),
        secret: [7; 32],
        ..Page::NOBODY
    };
    page.issuer_keys.push(IssuerKey::new("k1", Public::P256(x, y)).expect("a key")).expect("room");
    page.keys.push(ApiKey::new("ada", digest(b"a key that nobody guesses"))).expect("room");
    page
}

/// The public key of the tests' issuer.
fn point() -> ([u8; 32], [u8; 32]) {
    let signing = p256::ecdsa::SigningKey::from_slice(&[7; 32]).expect("a key");
    let point = signing.verifying_key().to_encoded_point(false);
    let [x, y] = [point.x(), point.y()].map(|part| (*part.expect("a point")).into());
    (x, y)
}

#[test]
fn device_reads_a_written_page_and_admits_callers_by_it() {
    let (x, y) = point();
    let mut flash = [0xFF; 4096];
    let length = page(&x, &y).write(&mut flash).expect("room");
    assert!(length < 600 && flash[length..].iter().all(|byte| *byte == 0xFF), "{length}");
    let page = Page::read(&flash).expect("a page");
    assert_eq!((page.written, page.gate), (1_700_000_000, Gate::Either));
    assert_eq!(page.policy().hosts, ["gateway.local", "192.168.1.50"]);
    assert_eq!(page.time_server(), Some(SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 1), 123)));
    let who = Shown::new(b"a key that nobody guesses").check(&page.keys).expect("a key of it");
    assert_eq!(who.key_name(), Some("ada"));
    let claims = format!(
        r#"{{"iss":"https://id.example","sub":"ada","aud":"https://api.example/mcp","exp":{},"iat":{},"azp":"app"}}"#,
        NOW + 60,
        NOW - 60
    );
    let header = format!("Bearer {}", token(HEADER, &claims));
    let mut scratch = [0; 1024];
    let claimed = Bearer::parse(header.as_bytes()).expect("good").expect("a token").read(None, &mut scratch);
    let claimed = claimed.expect("a token");
    let rules = page.rules();
    assert_eq!((rules.leeway, rules.max_age), (5, Some(3600)));
    assert_eq!(claimed.check(&rules, Some(NOW + 65)).map(|_| ()), Err(Denied::Expired(0)), "the leeway of the page");
    let candidate = claimed.check(&rules, Some(NOW)).expect("good claims");
    let verifiers = page.verifiers();
    let known = verifiers.key(candidate.kid()).expect("its key");
    assert!(candidate.verify(known).is_ok());
    assert!(!format!("{page:?}").contains("[7, 7"), "its secret is nobody's affair");
}

#[test]
fn page_with_one_changed_bit_or_cut_short_is_rejected() {
    let (x, y) = point();
    let mut flash = [0xFF; 1024];
    let length = page(&x, &y).write(&mut flash).expect("room");
    for at in 0..length {
        for bit in 0..8 {
            let mut other = flash;
            other[at] ^= 1 << bit;
            assert!(Page::read(&other).is_err(), "byte {at}, bit {bit}");
        }
    }
    for short in 0..length {
        assert!(Page::read(&flash[..short]).is_err(), "{short}");
    }
    assert!(Page::read(&flash[..length]).is_ok());
    for (bytes, blank) in [(&[0xFF; 64], Blank::Erased), (&[0; 64], Blank::Foreign)] {
        assert_eq!(Page::read(bytes).map(|_| ()), Err(blank));
    }
    assert_eq!(page(&x, &y).write(&mut [0; 64]), Err(TooLarge));
    assert_eq!(page(&x, &y).write(&mut []), Err(TooLarge));
}

#[test]
fn key_of_an_issuer_is_found_by_its_name_and_the_only_one_without_one() {
    use attache_core::json::Value;
    let named = |json: &'static str| Value::parse(json.as_bytes()).expect("JSON").text().expect("a text");
    let (one, two) = ([("k1", key())], [("k1", key()), ("k2", key())]);
    assert!(one.key(named("\"k1\"")).is_some() && one.key(named("\"k2\"")).is_none());
    assert!(one.key(named("\"\"")).is_some() && two.key(named("\"\"")).is_none());
    assert!(two.key(named("\"k2\"")).is_some());
    assert!(IssuerKey::new("k", Public::Rsa(&[1; 256], &[3])).is_none(), "another exponent");
}

#[test]
fn random_numbers_differ_at_each_start_that_the_journal_counts() {
    let memory = Memory::new(u32::MAX);
    let [one, two] = [(); 2].map(|()| Journal::open(memory.clone(), 0).expect("it is written").1);
    let numbers = |secret: u8, boot: Boot| {
        let mut next = random(&[secret; 32], boot);
        [next(), next(), next()]
    };
    let first = numbers(1, one);
    assert_eq!(first, numbers(1, one));
    assert_ne!(first[0], first[1]);
    for other in [numbers(1, two), numbers(2, one), numbers(1, Boot::UNCOUNTED)] {
        assert!(first.iter().all(|number| !other.contains(number)));
    }
}
