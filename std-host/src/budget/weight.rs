//! The memory that a JSON text takes once it is parsed.

/// Returns an upper bound of the bytes that this JSON text takes when it is parsed into
/// `serde_json::Value`. That is far more than the length of the text if it has many small members.
pub(crate) fn weight(text: &[u8]) -> usize {
    if text.len() <= SMALL {
        return text.len() * WORST;
    }
    let (mut weight, mut rest) = (text.len(), text);
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        weight += match byte {
            // An empty object has no node.
            b'{' if behind.first() != Some(&b'}') => OBJECT,
            b'[' => ARRAY,
            b',' => ELEMENT,
            b':' => MEMBER,
            b'"' => {
                rest = behind_string(behind);
                0
            }
            _ => 0,
        };
    }
    weight
}

/// Returns the text after the closing quote of a string; `text` begins after the opening quote.
fn behind_string(mut text: &[u8]) -> &[u8] {
    loop {
        match text.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
            Some(at) if text.get(at) == Some(&b'\\') => text = text.get(at + 2..).unwrap_or_default(),
            Some(at) => return text.get(at + 1..).unwrap_or_default(),
            None => return &[],
        }
    }
}

/// Texts up to this length are not scanned: even at the worst factor they take little memory.
const SMALL: usize = 512;

/// Bytes of memory for each byte of text in the worst case: `{"":0},` is seven bytes of text and
/// one tree node.
const WORST: usize = 128;

/// A B-tree node with eleven keys of 24 bytes and eleven values of 32, and the overhead of the
/// allocator.
const OBJECT: usize = 656;

/// The first allocation of a vector of values: room for four.
const ARRAY: usize = 160;

/// A value in a vector that has just doubled its capacity, and the allocation of a short string.
const ELEMENT: usize = 112;

/// A member's share of the nodes of a large tree, and the allocation of its name.
const MEMBER: usize = 112;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_counts_structure_and_ignores_the_content_of_strings() {
        let padded = |inner: &str| format!("[\"{}\",{inner}]", "x".repeat(SMALL));
        let base = weight(padded("0").as_bytes());
        for (inner, more) in [
            ("\"{{{,,,:::\"", "\"{{{,,,:::\"".len() - 1),
            (r#""\",{[\\""#, r#""\",{[\\""#.len() - 1),
            ("{}", 1),
            ("[0,0]", ARRAY + ELEMENT + 4),
            (r#"{"":0}"#, OBJECT + MEMBER + 5),
        ] {
            assert_eq!(weight(padded(inner).as_bytes()), base + more, "{inner}");
        }
    }

    #[test]
    fn small_text_counts_with_the_worst_factor_that_there_is() {
        for worst in [r#"{"":0},"#, "{},", "[0],", r#""a","#, r#"{"a":"b"},"#] {
            let long = worst.repeat(1000);
            assert!(weight(long.as_bytes()) <= long.len() * WORST, "{worst}");
        }
        assert_eq!(weight(b"{}"), 2 * WORST);
    }
}
