//! What a JSON text takes in memory once it is parsed.

/// At most how many bytes the values of this JSON text take when they are parsed into `serde_json::Value`: far more than the text,
/// where it has many small members.
pub(crate) fn weight(text: &[u8]) -> usize {
    if text.len() <= SMALL {
        return text.len() * WORST;
    }
    let (mut weight, mut rest) = (text.len(), text);
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        weight += match byte {
            // Without members there is no node.
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

/// What follows the string whose first character is that of `text`.
fn behind_string(mut text: &[u8]) -> &[u8] {
    loop {
        match text.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
            Some(at) if text.get(at) == Some(&b'\\') => text = text.get(at + 2..).unwrap_or_default(),
            Some(at) => return text.get(at + 1..).unwrap_or_default(),
            None => return &[],
        }
    }
}

/// Texts up to this length are not looked through: the whole of it at the worst factor is still little.
const SMALL: usize = 512;

/// Bytes of memory for a byte of text at worst: `{"":0},` is seven bytes and one node of a tree.
const WORST: usize = 128;

/// A node of a B-tree with eleven keys of 24 bytes and eleven values of 32, and what the allocator adds.
const OBJECT: usize = 656;

/// The first allocation of a vector of values: four of them.
const ARRAY: usize = 160;

/// A value in a vector that has just been doubled, and the allocation of a short string.
const ELEMENT: usize = 112;

/// A member's part of the nodes of a large tree, and the allocation of its name.
const MEMBER: usize = 112;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_follows_the_structure_and_not_what_stands_in_strings() {
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
