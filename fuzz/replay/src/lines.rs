//! Checks the line splitter against a split of the whole stream.

use attache_core::line::{Cut, Lines};

/// Checks that a stream gives the same lines in whatever pieces it arrives.
///
/// The input is the size of the buffer and two sizes of pieces, each the low half of a byte, so
/// that seeds can be written with digits; the rest is the stream.
///
/// # Panics
/// If the lines differ.
pub fn lines(input: &[u8]) {
    let [capacity, rest @ ..] = input else { return };
    let Some((sizes, stream)) = rest.split_at_checked(2) else { return };
    let capacity = usize::from(capacity & 15);
    let expected = model(stream, capacity);
    let size = |at: usize| usize::from(sizes[at % 2] & 15).max(1);

    assert_eq!(cuts(stream, capacity, |_| stream.len().max(1)), expected, "fed whole");
    assert_eq!(cuts(stream, capacity, |_| 1), expected, "fed byte by byte");
    assert_eq!(cuts(stream, capacity, size), expected, "fed in pieces of {} and {}", size(0), size(1));
}

/// A line, or `None` for a line that was too long.
type CutLines = Vec<Option<Vec<u8>>>;

fn cuts(mut stream: &[u8], capacity: usize, size: impl Fn(usize) -> usize) -> CutLines {
    let mut buffer = [0; 16];
    let mut lines = Lines::new(&mut buffer[..capacity]);
    assert_eq!(lines.capacity(), capacity);
    let mut cuts = Vec::new();
    let mut note = |cut: Cut<'_>| match cut {
        Cut::Line(line) => cuts.push(Some(line.to_vec())),
        Cut::TooLong => cuts.push(None),
    };
    let mut pieces = 0;
    while !stream.is_empty() {
        let (mut piece, rest) = stream.split_at(size(pieces).min(stream.len()));
        while let Some(cut) = lines.feed(&mut piece) {
            note(cut);
        }
        assert!(piece.is_empty(), "bytes were left behind");
        stream = rest;
        pieces += 1;
    }
    if let Some(cut) = lines.finish() {
        note(cut);
    }
    assert_eq!(lines.finish(), None, "the end of a stream comes once");
    cuts
}

/// Splits the stream: a line feed ends a line, one carriage return before it belongs to the line
/// end, and blank lines that fit are skipped, with or without a byte order mark.
fn model(stream: &[u8], capacity: usize) -> CutLines {
    let lines = stream.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let fitting = lines.map(|line| (line.len() <= capacity).then_some(line));
    let bare = |line: &'_ [u8]| line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).to_vec();
    let told = fitting.filter(|line| !line.is_some_and(|line| bare(line).iter().all(u8::is_ascii_whitespace)));
    told.map(|line| line.map(<[u8]>::to_vec)).collect()
}
