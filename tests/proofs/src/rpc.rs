//! Proofs for `rpc`: the envelope, and the text of an error.

use crate::{keep, proofs};
use attache_core::era::Version;
use attache_core::json::Reader;
use attache_core::rpc::{self, Envelope, Window};

proofs! {
    /// Any message, with its `params` skipped or read halfway.
    fn proof_rpc_envelope(foreign, _out) {
        let body = foreign.piece();
        let params = |reader: &mut Reader<'_>| match foreign.byte() % 3 {
            0 => Ok(None),
            1 => reader.skip().map(Some),
            _ => reader.enter_object().map(|_| None),
        };
        match Envelope::read(body, params) {
            Ok(envelope) => {
                keep(envelope.check_params());
                keep(envelope.message(body));
                // The envelope is applied to another body than the one that was read.
                keep(envelope.message(foreign.rest()));
            }
            Err(error) => keep(error),
        }
    }

    /// An error answer with the text of any error that a message causes.
    fn proof_rpc_error(foreign, out) {
        let body = foreign.piece();
        let mut window = Window::new(out, foreign.number());
        if let Ok(envelope) = Envelope::read(body, |_| Ok(None))
            && let Err(refused) = envelope.message(body)
        {
            rpc::error(&refused, foreign.rest(), Version::MODERN_LIST, &mut window);
            keep((refused.error.code().digits(), refused.error.message(), refused.error.about()));
        }
        rpc::head(body, &mut window);
        keep((window.used(), window.left()));
    }
}
