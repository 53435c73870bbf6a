//! Why the credentials of a request were refused. The reason is recorded at the check, logged with
//! the refusal, and never sent to the client.

use core::cell::Cell;

tokio::task_local! {
    static WHY: Cell<Option<String>>;
}

/// Serves one request with its own place for the reason.
pub(crate) fn scope<F: Future>(request: F) -> impl Future<Output = F::Output> {
    // Not an `async fn`, whose future would have room for the request twice.
    WHY.scope(Cell::default(), request)
}

/// Records the reason for the refusal that follows. Its text may contain input of the client, so it
/// is truncated and escaped.
pub(crate) fn note(why: &dyn core::fmt::Display) {
    let text = printable(&why.to_string(), MOST);
    let _ = WHY.try_with(|kept| kept.set(Some(text)));
}

/// Takes the recorded reason.
pub(crate) fn take() -> Option<String> {
    WHY.try_with(Cell::take).ok().flatten()
}

/// Most characters of a reason.
const MOST: usize = 160;

/// Escapes a text to printable ASCII, and truncates it.
pub(crate) fn printable(text: &str, most: usize) -> String {
    let mut escaped: String = text.chars().take(most + 1).flat_map(char::escape_default).take(most + 1).collect();
    if escaped.len() > most {
        escaped.truncate(most.saturating_sub(3));
        escaped.push_str("...");
    }
    escaped.replace("\\'", "'").replace("\\\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_stranger_is_printable_and_short() {
        for (text, expected) in [
            ("iss is https://evil.example", "iss is https://evil.example"),
            ("it's \"so\"", "it's \"so\""),
            ("a\nb\u{1b}[2J\u{202e}", "a\\nb\\u{1b}[2J\\u{202e}"),
        ] {
            assert_eq!(printable(text, 100), expected);
        }
        for text in ["x".repeat(1000), "\u{1b}".repeat(1000), "é".repeat(1000)] {
            let short = printable(&text, 100);
            assert!(short.len() <= 100 && short.ends_with("...") && short.is_ascii(), "{short}");
        }
    }
}
