//! Proofs for `era`: versions, `_meta` and capabilities. A library computes the
//! digest of a session id, outside the proof.

use crate::{keep, proofs};
use attache_core::era::{Client, Meta, Version};
use attache_core::json::{Reader, Value};

proofs! {
    /// A version by its date, plain and in a string of a message.
    fn proof_era_version(foreign, _out) {
        keep(Version::parse(foreign.piece()).map(|version| (version.as_str(), version.is_modern())));
        keep(Value::parse(foreign.rest()).ok().and_then(|value| value.text()).and_then(Version::named));
    }

    /// Any `_meta`.
    fn proof_era_meta(foreign, _out) {
        let mut meta = Meta::default();
        if let Ok(mut reader) = Reader::new(foreign.rest()) {
            keep(meta.read(&mut reader));
        }
        keep((meta.claim(), meta.is_modern(), meta.check()));
    }

    /// Any capabilities that a client declares in its handshake.
    fn proof_era_client(foreign, _out) {
        if let Ok(capabilities) = Value::parse(foreign.rest()) {
            keep(Client::declared(capabilities));
        }
    }
}
