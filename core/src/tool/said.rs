//! The attributes of a declaration, collected at compile time.

use super::{Entry, Hints};
use crate::auth::Need;

/// Maximum number of lines of the doc comment of one declaration.
const LINES: usize = 64;

/// Maximum number of scopes and roles of one declaration.
const NEEDS: usize = 8;

/// The attributes of a declaration.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// The name in lists and calls.
    pub name: &'static str,
    /// The title; empty if there is none.
    pub title: &'static str,
    /// The hints of a tool.
    pub hints: Hints,
    doc: [&'static str; LINES],
    lines: usize,
    needs: [Need<'static>; NEEDS],
    needed: usize,
}

impl Said {
    /// Attributes with only a name.
    pub const fn of(name: &'static str) -> Self {
        let needs = [Need::Scope(""); NEEDS];
        Self { name, title: "", hints: Hints::NONE, doc: [""; LINES], lines: 0, needs, needed: 0 }
    }

    /// Adds a line of the description.
    #[must_use]
    pub const fn doc(mut self, line: &'static str) -> Self {
        assert!(self.lines < LINES, "a description may have 64 lines");
        self.doc[self.lines] = line;
        self.lines += 1;
        self
    }

    /// Sets another name.
    #[must_use]
    pub const fn name(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// Sets the title.
    #[must_use]
    pub const fn title(self, title: &'static str) -> Self {
        Self { title, ..self }
    }

    /// Adds hints.
    #[must_use]
    pub const fn hints(self, hints: Hints) -> Self {
        Self { hints, ..self }
    }

    /// Adds a scope or role.
    #[must_use]
    pub const fn need(mut self, need: Need<'static>) -> Self {
        assert!(self.needed < NEEDS, "a declaration may name 8 scopes and roles");
        self.needs[self.needed] = need;
        self.needed += 1;
        self
    }

    /// Whether there is a doc comment.
    pub const fn is_described(&self) -> bool {
        self.lines > 0
    }

    /// Returns the number of lines of the doc comment.
    pub const fn lines(&self) -> usize {
        self.lines
    }

    /// Returns the lines; `N` is their number. They are an array of their own, so that only they
    /// are in the image.
    pub const fn description<const N: usize>(&self) -> [&'static str; N] {
        let mut lines = [""; N];
        let mut at = 0;
        while at < N {
            lines[at] = self.doc[at];
            at += 1;
        }
        lines
    }

    /// Returns the number of scopes and roles.
    pub const fn needs(&self) -> usize {
        self.needed
    }

    /// Returns the scopes and roles; `N` is their number.
    pub const fn needed<const N: usize>(&self) -> [Need<'static>; N] {
        let mut needs = [Need::Scope(""); N];
        let mut at = 0;
        while at < N {
            needs[at] = self.needs[at];
            at += 1;
        }
        needs
    }
}

/// Returns the number of elements of `all` that are in this build.
pub const fn count<T: Copy>(mut all: &[Option<T>]) -> usize {
    let mut count = 0;
    while let [one, rest @ ..] = all {
        if one.is_some() {
            count += 1;
        }
        all = rest;
    }
    count
}

/// Returns the elements of `all` that are in this build; `N` is their number.
pub const fn present<T: Copy, const N: usize>(mut all: &[Option<T>]) -> [Option<T>; N] {
    let mut present = [None; N];
    let mut at = 0;
    while let [one, rest @ ..] = all {
        if one.is_some() {
            present[at] = *one;
            at += 1;
        }
        all = rest;
    }
    present
}

/// Returns the entries of `all` that are in this build, as a table.
pub const fn entries<const N: usize>(all: &[Option<Entry<'static>>]) -> [Entry<'static>; N] {
    let present: [Option<Entry<'static>>; N] = present(all);
    let mut entries = [Entry::new("", &[]); N];
    let mut at = 0;
    while at < N {
        if let Some(entry) = present[at] {
            entries[at] = entry;
        }
        at += 1;
    }
    entries
}
