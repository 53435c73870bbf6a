//! Proofs for `line`: splitting a stream, and the state of a connection.

use crate::server::{caller, server};
use crate::{keep, proofs};
use attache_core::line::{Connection, Cut, Lines};

proofs! {
    /// Any stream in any pieces through a buffer of any size.
    fn proof_line_lines(foreign, out) {
        let mut lines = Lines::new(out);
        keep(lines.capacity());
        while !foreign.is_empty() {
            let mut piece = foreign.piece();
            while let Some(cut) = lines.feed(&mut piece) {
                keep(cut);
            }
            if foreign.byte() == 1 {
                keep(lines.finish());
            }
        }
        keep(lines.finish());
    }

    /// Any lines of one connection.
    fn proof_line_connection(foreign, out) {
        let mut lines = Lines::new(out);
        let mut connection = Connection::new();
        let who = caller();
        let mut stream = foreign.rest();
        while let Some(cut) = lines.feed(&mut stream) {
            if let Cut::Line(line) = cut {
                keep(connection.open(server(), &who, line));
            }
        }
    }
}
