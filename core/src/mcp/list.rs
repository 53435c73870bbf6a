//! List results (MCP server/tools, server/prompts, server/resources). Each entry is one section, so
//! that a list of any size passes through a small buffer. The page size is a number of entries.

use super::Server;
use crate::era::Version;
use crate::json::{Decimal, Text};
use crate::limits;
use crate::rpc::Window;
use crate::tool::Kind;

/// One page of a list: its entries, and the cursor to the next page. Entries that the server hides
/// from the caller are left out.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Page {
    kind: Kind,
    version: Version,
    start: usize,
    end: usize,
    /// The generation of the lists, which the cursor to the next page contains; `None` on the last
    /// page.
    next: Option<u32>,
}

impl Page {
    /// Finds the page that begins at `cursor`, or the first page without a cursor.
    ///
    /// Returns `None` if the cursor was not issued for the list as it is now.
    pub fn find(server: &Server<'_>, kind: Kind, version: Version, cursor: Option<Text<'_>>) -> Option<Self> {
        let offers = server.offers();
        let (len, generation) = (offers.len(kind), offers.generation());
        let start = match cursor {
            None => 0,
            // A cursor is the generation of the lists, a letter for the list, and the number of an
            // entry. It reveals nothing that the list without a cursor does not show to the same
            // caller, so it is not sealed.
            Some(cursor) => {
                let (of, start) = cursor.plain()?.split_once(letter(kind).0)?;
                let start: usize = start.parse().ok()?;
                (of.parse() == Ok(generation) && start < len).then_some(start)?
            }
        };
        let (start, end) = match server.has_public_lists() {
            true => (start, start.saturating_add(server.page()).min(len)),
            false => listed(server, kind, start, len),
        };
        let next = (end < len).then_some(generation);
        Some(Self { kind, version, start, end, next })
    }

    /// Returns the number of sections.
    pub const fn sections(&self) -> usize {
        self.end.saturating_sub(self.start) + 2
    }

    /// Puts section `at` of the page: the front, then one section per entry, then the end. Returns
    /// `false` after the last one.
    pub fn section(&self, server: &Server<'_>, at: usize, out: &mut Window<'_>) -> bool {
        let Some(before) = at.checked_sub(1) else {
            out.put(match self.kind {
                Kind::Tool => br#"{"tools":["#,
                Kind::Prompt => br#"{"prompts":["#,
                Kind::Resource => br#"{"resources":["#,
                Kind::Template => br#"{"resourceTemplates":["#,
            });
            return true;
        };
        let index = self.start.saturating_add(before);
        match index.checked_sub(self.end) {
            None => self.entry(server, index, out),
            Some(0) => self.back(server, out),
            Some(_) => return false,
        }
        true
    }

    /// Puts an entry, or nothing if the entry is hidden.
    fn entry(&self, server: &Server<'_>, index: usize, out: &mut Window<'_>) {
        if !server.lists(self.kind, index) {
            return;
        }
        let offers = server.offers();
        // The first entry of a page is never hidden.
        let mut front: &[u8] = if index == self.start { b"{" } else { b",{" };
        offers.members(self.kind, index, &mut |member| {
            // Omit members that are newer than the client's revision; the first group is in every
            // revision.
            if member.since <= self.version {
                out.put(core::mem::replace(&mut front, b","));
                out.put(member.json.as_bytes());
            }
        });
        out.put(b"}");
    }

    fn back(&self, server: &Server<'_>, out: &mut Window<'_>) {
        out.put(b"]");
        if let Some(generation) = self.next {
            out.put(br#","nextCursor":""#);
            out.put(Decimal::new(generation.into()).as_bytes());
            out.put(letter(self.kind).1);
            out.number(self.end);
            out.put(b"\"");
        }
        if self.version.is_modern() {
            out.put(br#","resultType":"complete","ttlMs":"#);
            out.put(limits::LIST_TTL_MS.as_bytes());
            out.put(server.list_scope());
            out.put(br#","_meta":{"io.modelcontextprotocol/serverInfo":"#);
            out.put_all(server.info());
            out.put(b"}");
        }
        out.put(b"}");
    }
}

/// Returns the bounds of a page of visible entries from `start` on: the first entry is visible, and
/// so is the entry after the page.
fn listed(server: &Server<'_>, kind: Kind, start: usize, len: usize) -> (usize, usize) {
    let next = |from: usize| (from..len).find(|&index| server.lists(kind, index)).unwrap_or(len);
    let start = next(start);
    let mut end = start;
    for _ in 0..server.page() {
        if end == len {
            break;
        }
        end = next(end + 1);
    }
    (start, end)
}

/// The letter that names a list in a cursor.
const fn letter(kind: Kind) -> (char, &'static [u8]) {
    match kind {
        Kind::Tool => ('t', b"t"),
        Kind::Prompt => ('p', b"p"),
        Kind::Resource => ('r', b"r"),
        Kind::Template => ('m', b"m"),
    }
}
