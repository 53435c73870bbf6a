//! Proofs for `http1`: reading heads and bodies, and writing heads of answers.

use crate::{keep, proofs};
use attache_core::http1::{After, Body, Content, Framing, Heads, chunk, head};
use attache_core::json::{Sink, Slice};

proofs! {
    /// Any stream in any pieces, as heads of requests.
    fn proof_http1_heads(foreign, out) {
        let mut heads = Heads::new(out);
        while !foreign.is_empty() {
            let mut piece = foreign.piece();
            while !piece.is_empty() {
                match heads.feed(&mut piece) {
                    Ok(true) => {
                        keep(heads.request());
                        heads.clear();
                    }
                    other => keep(other),
                }
            }
            keep(heads.is_empty());
        }
    }

    /// Any stream in any pieces as a body of any framing.
    fn proof_http1_body(foreign, out) {
        let framing = if foreign.byte() == 0 { Framing::Chunked } else { Framing::Length(foreign.number()) };
        let mut body = Body::new(framing);
        let mut sink = Slice::new(out);
        while !foreign.is_empty() && !body.is_done() {
            let mut piece = foreign.piece();
            match body.feed(&mut piece, &mut sink) {
                Ok(done) => keep(done),
                Err(fault) => return keep((fault.status(), fault.reason())),
            }
        }
        keep((body.is_too_large(), sink.len()));
    }

    /// The head of any answer, into any buffer.
    fn proof_http1_answer(foreign, out) {
        let content = match foreign.byte() {
            0 => Content::Nothing,
            1 => Content::Chunks,
            2 => Content::Events,
            _ => Content::Message(foreign.number()),
        };
        let after = if foreign.byte() == 0 { After::KeepAlive } else { After::Close };
        keep(head(u16::from(foreign.byte()), content, after, &mut Slice::new(out)));
        keep(chunk(foreign.number()));
    }
}
