//! Who calls, and what he may do. Two questions at two places: the door asks the first before a byte of the body is
//! read, dispatch asks the second when the tool is known. Each answer is a value that only this module can make, and
//! nothing behind goes on without it: the absence of an error is not evidence of a check.

mod principal;
mod scope;

pub use principal::{Access, Authenticated};
pub use scope::{Allowed, authorize};
