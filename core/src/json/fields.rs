//! The members of one object that a reader asks for, indexed by their position in a list of names.

use super::{Error, Item, Kind, Reader};

/// Records where each of `N` known members was found, and which of them were repeated.
///
/// Members may come in any order; unknown members are skipped. A repeated member is only recorded
/// here: it is an error only if the caller reads that member, so [`get`](Self::get) reports it.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Fields<const N: usize> {
    found: [Option<Item>; N],
    repeated: u32,
}

impl<const N: usize> Fields<N> {
    /// An empty record: no member found yet.
    pub const fn new() -> Self {
        Self { found: [None; N], repeated: 0 }
    }

    /// Returns the value of member `index`, or `None` if the member is absent.
    ///
    /// # Errors
    /// [`Repeated`] if the member occurs more than once: two parsers of the message could pick
    /// different values.
    pub fn get(&self, index: usize) -> Result<Option<Item>, Repeated> {
        if self.repeated & 1u32.checked_shl(index as u32).unwrap_or(0) != 0 {
            return Err(Repeated);
        }
        Ok(self.found.get(index).copied().flatten())
    }

    /// Reads the next value of `reader` if it is an object; a member's position in `names` is its
    /// index. `inside` is called for each known member and may read the value itself; if it returns
    /// `None`, the value is skipped.
    ///
    /// Returns `None`, and reads nothing, if the next value is not an object.
    ///
    /// # Errors
    /// Any [`Error`] that the reader finds in the text.
    pub fn read<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        names: &[&str; N],
        mut inside: impl FnMut(usize, &mut Reader<'a>) -> Result<Option<Item>, Error>,
    ) -> Result<Option<Item>, Error> {
        read(reader, names, &mut self.found, &mut self.repeated, &mut inside)
    }
}

/// A function that may read the value of a known member.
type Inside<'f, 'a> = dyn FnMut(usize, &mut Reader<'a>) -> Result<Option<Item>, Error> + 'f;

/// The part of [`Fields::read`] that does not depend on the number of names. A device has it once,
/// because it contains the reader's steps; a host has it for each list of names, which is faster.
#[cfg_attr(target_os = "none", inline(never))]
#[cfg_attr(not(target_os = "none"), inline(always))]
fn read<'a>(
    reader: &mut Reader<'a>,
    names: &[&str],
    found: &mut [Option<Item>],
    repeated: &mut u32,
    inside: &mut Inside<'_, 'a>,
) -> Result<Option<Item>, Error> {
    let Some(start) = reader.enter_object()? else {
        return Ok(None);
    };
    while let Some(key) = reader.key()? {
        let Some(index) = key.position(names) else {
            reader.skip()?;
            continue;
        };
        let item = match inside(index, reader)? {
            Some(item) => item,
            None => reader.skip()?,
        };
        if let Some(slot) = found.get_mut(index) {
            if slot.is_some() {
                *repeated |= 1u32.checked_shl(index as u32).unwrap_or(0);
            }
            *slot = Some(item);
        }
    }
    Ok(Some(Item::container(Kind::Object, start, reader.position())))
}

impl<const N: usize> Default for Fields<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// A member that is read occurs more than once in its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Repeated;
