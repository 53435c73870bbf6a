//! Proofs for `era`: versions, `_meta`, and the choice between the eras. A library computes the
//! digest of a session id, outside the proof.

use crate::server::version;
use crate::{keep, proofs};
use attache_core::era::{Carrier, Client, Meta, Version, negotiate};
use attache_core::json::{Reader, Value};

proofs! {
    /// A version by its date, plain and in a string of a message.
    fn proof_era_version(foreign, _out) {
        keep(Version::parse(foreign.piece()).map(|version| (version.as_str(), version.is_modern())));
        keep(Value::parse(foreign.rest()).ok().and_then(|value| value.text()).and_then(Version::named));
    }

    /// Any `_meta` with any method over any carrier, and a body that need not be the one that
    /// contained the `_meta`.
    fn proof_era_negotiate(foreign, _out) {
        let mut meta = Meta::default();
        if let Ok(mut reader) = Reader::new(foreign.piece()) {
            keep(meta.read(&mut reader));
        }
        keep((meta.claim(), meta.is_modern(), meta.check()));
        let method = Value::parse(foreign.piece()).ok().and_then(|value| value.text()).unwrap_or_default();
        let carrier = match foreign.byte() % 4 {
            0 => Carrier::Http(None),
            1 => Carrier::Http(Some(foreign.piece())),
            _ => Carrier::Line(version(&mut foreign)),
        };
        keep(negotiate(method, &meta, carrier, foreign.rest()));
    }

    /// Any capabilities that a client declares in its handshake.
    fn proof_era_client(foreign, _out) {
        if let Ok(capabilities) = Value::parse(foreign.rest()) {
            keep(Client::declared(capabilities));
        }
    }
}
