//! The lists (MCP server/tools, server/prompts, server/resources), one section for each entry, so that a list of any size
//! passes through a small buffer. A page is a number of entries.

use super::Server;
use crate::era::Version;
use crate::json::{Decimal, Text};
use crate::limits;
use crate::rpc::{Section, section};
use crate::tool::Kind;

/// One page of a list: which entries, and what stands in the cursor to the next page.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Page {
    kind: Kind,
    version: Version,
    start: usize,
    end: usize,
    /// Generation and number of the first entry of the next page, if there is one.
    next: Option<[Decimal; 2]>,
}

impl Page {
    /// The page that begins where `cursor` says; the first one without a cursor.
    ///
    /// `None` if the cursor was not issued for the list as it is now.
    pub fn find(server: &Server<'_>, kind: Kind, version: Version, cursor: Option<Text<'_>>) -> Option<Self> {
        let offers = server.offers();
        let (len, generation) = (offers.len(kind), offers.generation());
        let start = match cursor {
            None => 0,
            // A cursor is the generation of the lists, a letter for the list, and the number of an entry. It opens nothing
            // that the list without one does not show, so it needs no seal.
            Some(cursor) => {
                let (of, start) = cursor.plain()?.split_once(letter(kind).0)?;
                let start: usize = start.parse().ok()?;
                (of.parse() == Ok(generation) && start < len).then_some(start)?
            }
        };
        let end = start.saturating_add(server.page()).min(len);
        let next = (end < len).then(|| [generation.into(), i64::try_from(end).unwrap_or(i64::MAX)].map(Decimal::new));
        Some(Self { kind, version, start, end, next })
    }

    /// How many sections there are.
    pub const fn sections(&self) -> usize {
        self.end.saturating_sub(self.start) + 2
    }

    /// Makes `section` section `at` of the page: the front, one for each entry, the back; `false` behind that.
    pub fn section<'a>(&'a self, server: &Server<'a>, at: usize, section: &mut Section<'a>) -> bool {
        let Some(before) = at.checked_sub(1) else {
            section.push(match self.kind {
                Kind::Tool => br#"{"tools":["#,
                Kind::Prompt => br#"{"prompts":["#,
                Kind::Resource => br#"{"resources":["#,
                Kind::Template => br#"{"resourceTemplates":["#,
            });
            return true;
        };
        let index = self.start.saturating_add(before);
        match index.checked_sub(self.end) {
            None => self.entry(server, index, section),
            Some(0) => *section = self.back(server),
            Some(_) => return false,
        }
        true
    }

    fn entry<'a>(&self, server: &Server<'a>, index: usize, section: &mut Section<'a>) {
        let offers = server.offers();
        let mut front: &[u8] = if index == self.start { b"{" } else { b",{" };
        offers.members(self.kind, index, &mut |member| {
            // What came later than the client's revision is left out; the first group is in every revision.
            if member.since <= self.version {
                section.push(core::mem::replace(&mut front, b","));
                section.push(member.json.as_bytes());
            }
        });
        section.push(b"}");
    }

    fn back<'a>(&'a self, server: &Server<'a>) -> Section<'a> {
        let [c0, c1, c2, c3, c4]: [&[u8]; 5] = match &self.next {
            None => [b"]", b"", b"", b"", b""],
            Some([generation, next]) => {
                [br#"],"nextCursor":""#, generation.as_bytes(), letter(self.kind).1, next.as_bytes(), b"\""]
            }
        };
        if !self.version.is_modern() {
            return section([c0, c1, c2, c3, c4, b"}"]);
        }
        let [s0, s1, s2, s3, s4] = server.info();
        section([
            c0,
            c1,
            c2,
            c3,
            c4,
            br#","resultType":"complete","ttlMs":"#,
            limits::LIST_TTL_MS.as_bytes(),
            server.list_scope(),
            br#","_meta":{"io.modelcontextprotocol/serverInfo":"#,
            s0,
            s1,
            s2,
            s3,
            s4,
            b"}}",
        ])
    }
}

/// What stands in a cursor for the list that it was issued for.
const fn letter(kind: Kind) -> (char, &'static [u8]) {
    match kind {
        Kind::Tool => ('t', b"t"),
        Kind::Prompt => ('p', b"p"),
        Kind::Resource => ('r', b"r"),
        Kind::Template => ('m', b"m"),
    }
}
