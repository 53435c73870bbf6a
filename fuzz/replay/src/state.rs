//! Checks sealed values: a sealed value opens under the same conditions, and no other text ever
//! opens.

use crate::headers::{ALPHABET, base64};
use attache_core::json::{Full, Sink, Slice, Text, Value};
use attache_core::seal::Key;

/// Checks that any value opens as it was sealed, with the same key and binding and before it
/// expires, and that it does not open after any change.
///
/// The first three bytes are the key, the expiry in seconds (from its low half, or far in the
/// future if the byte is a letter), and the place of a change. Then come the parts of the binding,
/// a line each, up to a blank line, and then the value, which is also tried as a sealed text.
///
/// # Panics
/// If one of these rules does not hold.
pub fn state(input: &[u8]) {
    let Some(([key, expiry, change], rest)) = input.split_first_chunk() else { return };
    let (binding, value) = parts(rest);
    let (bytes, key) = ([*key; 32], Key::new([*key; 32]));
    let expires = if expiry.is_ascii_alphabetic() { u64::MAX - u64::from(expiry & 1) } else { u64::from(expiry & 15) };

    let mut scratch = vec![0; value.len() + 41];
    let mut buffer = vec![0; (value.len() + 41).div_ceil(3) * 4];
    let mut out = Slice::new(&mut buffer);
    assert_eq!(key.seal(&binding, expires, value, &mut scratch, &mut out), Ok(()));
    let sealed = out.written().to_vec();
    // The documented format: a byte, eight bytes, the value, 32 bytes.
    let front = [&[1], expires.to_be_bytes().as_slice(), value].concat();
    let digits = base64(&front);
    assert_eq!(sealed[..front.len() / 3 * 4], digits[..front.len() / 3 * 4]);
    room(&key, &binding, expires, value, &sealed);

    let open = |key: &Key, to: &[&[u8]], now: u64, text: &[u8]| opened(key, to, now, text, text.len());
    for now in [0, expires.saturating_sub(1), expires] {
        assert_eq!(open(&key, &binding, now, &sealed).as_deref(), Some(value), "at {now} of {expires}");
    }
    if let Some(late) = expires.checked_add(1) {
        assert_eq!(open(&key, &binding, late, &sealed), None, "late");
        assert_eq!(open(&key, &binding, u64::MAX, &sealed), None, "very late");
    }
    let mut other = bytes;
    other[usize::from(change % 32)] ^= 1 | change;
    assert_eq!(open(&Key::new(other), &binding, 0, &sealed), None, "another key");
    for to in other_bindings(&binding, *change) {
        let to: Vec<&[u8]> = to.iter().map(Vec::as_slice).collect();
        assert_eq!(open(&key, &to, 0, &sealed), None, "bound to {binding:?}, opened with {to:?}");
    }
    for text in changes(&sealed, *change) {
        assert_eq!(open(&key, &binding, 0, &text), None, "{}", text.escape_ascii());
    }
    assert_eq!(open(&key, &binding, 0, value), None, "made by nobody");
    if let Some(text) = Value::parse(value).ok().and_then(|value| value.text()) {
        assert_eq!(key.open(&binding, 0, text, &mut scratch), None, "made by nobody");
    }
    assert_eq!(open(&key, &binding, 0, &base64(value)), None, "made by nobody");
    assert_eq!(open(&key, &binding, 0, &base64(&front)), None, "without a MAC");
    assert_eq!(open(&key, &binding, 0, &base64(&[front.as_slice(), &[*change; 32]].concat())), None, "a guessed MAC");
}

/// Splits off the lines up to a blank line, and returns them and the rest.
fn parts(mut rest: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut parts = Vec::new();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, behind) = (&rest[..end], &rest[end + 1..]);
        rest = behind;
        if line.is_empty() || parts.len() == 8 {
            break;
        }
        parts.push(line);
    }
    (parts, rest)
}

/// Opens `text` with a scratch buffer of `room` bytes. A text that no JSON string can hold is not
/// tried.
fn opened(key: &Key, to: &[&[u8]], now: u64, text: &[u8], room: usize) -> Option<Vec<u8>> {
    let quoted = [b"\"", text, b"\""].concat();
    let text: Text<'_> = Value::parse(&quoted).ok()?.text()?;
    let mut scratch = vec![0xAA; room];
    key.open(to, now, text, &mut scratch).map(<[u8]>::to_vec)
}

/// Checks that a buffer of exactly the needed size is enough, and that one byte less is reported.
fn room(key: &Key, binding: &[&[u8]], expires: u64, value: &[u8], sealed: &[u8]) {
    let need = value.len() + 41;
    for size in [0, 1, 8, 9, 40, need / 2, need - 1, need] {
        let mut buffer = vec![0; sealed.len()];
        let expected = if size < need { Err(Full) } else { Ok(()) };
        assert_eq!(key.seal(binding, expires, value, &mut vec![0; size], &mut Slice::new(&mut buffer)), expected);
        assert_eq!(opened(key, binding, 0, sealed, size).is_some(), size >= need, "{size} of {need}");
    }
    for size in [0, sealed.len() / 2, sealed.len() - 1] {
        let mut buffer = vec![0; size];
        let mut out = Slice::new(&mut buffer);
        assert_eq!(key.seal(binding, expires, value, &mut vec![0; need], &mut out), Err(Full));
        assert!(out.len() <= size);
    }
}

/// Returns bindings that differ from `binding`, among them those whose parts concatenate to the
/// same bytes.
fn other_bindings(binding: &[&[u8]], change: u8) -> Vec<Vec<Vec<u8>>> {
    let own: Vec<Vec<u8>> = binding.iter().map(|part| part.to_vec()).collect();
    let mut others = vec![
        Vec::new(),
        vec![own.concat()],
        own.iter().cloned().chain([Vec::new()]).collect(),
        own.iter().skip(1).cloned().collect(),
        own.iter().rev().cloned().collect(),
        own.iter().cloned().chain([vec![change]]).collect(),
    ];
    for at in 0..own.len() {
        let mut changed = own.clone();
        changed[at].push(change);
        others.push(changed.clone());
        changed[at].pop();
        // Moves the border between two parts.
        if let Some(moved) = changed[at].pop() {
            match changed.get_mut(at + 1) {
                Some(next) => next.insert(0, moved),
                None => changed.push(vec![moved]),
            }
            others.push(changed);
        }
    }
    others.retain(|other| *other != own);
    others
}

/// Returns texts that differ slightly from `sealed`.
fn changes(sealed: &[u8], change: u8) -> Vec<Vec<u8>> {
    let mut texts: Vec<Vec<u8>> = Vec::new();
    // Every position of a short text, some positions of a long one.
    let step = sealed.len().div_ceil(256).max(1);
    for at in (usize::from(change) % step..sealed.len()).step_by(step) {
        let mut text = sealed.to_vec();
        text[at] = ALPHABET[usize::from(change ^ at as u8) % 64];
        texts.push(text);
    }
    let at = usize::from(change) % sealed.len();
    texts.push(sealed[..at].to_vec());
    texts.push(sealed[at + 1..].to_vec());
    texts.push([sealed, b"="].concat());
    texts.push([sealed, b"AAAA"].concat());
    texts.push([b"AAAA", sealed].concat());
    texts.push(sealed.strip_suffix(b"=").unwrap_or(b"").to_vec());
    let mut spaced = sealed.to_vec();
    spaced.insert(at, b' ');
    texts.push(spaced);
    texts.retain(|text| text != sealed);
    texts
}
