//! Authentication and authorization of callers. A caller is authenticated before a byte of the body
//! is read, and authorized when the operation is known. Each check returns a value that only this
//! module can create, and later code requires that value: the absence of an error does not prove
//! that a check has run.
//!
//! A token is parsed as [`Bearer`], read as [`Claimed`], checked as [`Candidate`] and verified as
//! [`Verified`]; a key goes from [`Shown`] directly to [`Authenticated`].

mod authorize;
mod base64url;
mod bearer;
mod claim_items;
mod claims;
mod denied;
#[cfg(feature = "eddsa")]
mod eddsa;
#[cfg(feature = "es256")]
mod es256;
mod issuer_policy;
mod jwk;
mod jws;
mod key;
mod principal;
#[cfg(feature = "rs256")]
mod rs256;
mod rules;
mod scope;
mod token;
mod verify;

pub use authorize::authorize;
pub use base64url::{NotDecoded, decode as decode_base64url};
pub use bearer::Bearer;
pub use claims::Claims;
pub use denied::{Denied, Fault, Kind};
#[cfg(feature = "eddsa")]
pub use eddsa::EdDsa;
#[cfg(feature = "es256")]
pub use es256::Es256;
pub use issuer_policy::IssuerPolicy;
pub use jwk::{Jwk, Public, jwk_set};
pub use jws::Jws;
pub use key::{ApiKey, Shown, digest};
pub use principal::{Access, Authenticated, Gate};
#[cfg(feature = "rs256")]
pub use rs256::Rs256;
pub use rules::{ANY, Rules};
pub use scope::{Allowed, Need};
pub use token::{Candidate, Claimed, Verdict, Verified, Voucher};
pub use verify::{Algorithm, Forged, IssuerKeys, Verify};
