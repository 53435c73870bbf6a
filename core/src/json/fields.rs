//! The members of one object that somebody reads, by their number in a list of names.

use super::{Error, Item, Kind, Reader};

/// Where the `N` members that a reader knows were found, and which of them came twice.
///
/// Members in any order, unknown ones skipped. A repeated member is only remembered here: whether that is an error
/// depends on whether the member is read at all, so it is the reader's word.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Fields<const N: usize> {
    found: [Option<Item>; N],
    repeated: u32,
}

impl<const N: usize> Fields<N> {
    /// No member found yet.
    pub const fn new() -> Self {
        Self { found: [None; N], repeated: 0 }
    }

    /// Notes that member `index` has the value `item`.
    pub fn note(&mut self, index: usize, item: Item) {
        if let Some(slot) = self.found.get_mut(index) {
            if slot.is_some() {
                self.repeated |= 1u32.checked_shl(index as u32).unwrap_or(0);
            }
            *slot = Some(item);
        }
    }

    /// The value of member `index`, if it is there.
    ///
    /// # Errors
    /// [`Repeated`] if the member came more than once: two readers of the message could then see two things.
    pub fn get(&self, index: usize) -> Result<Option<Item>, Repeated> {
        if self.repeated & 1u32.checked_shl(index as u32).unwrap_or(0) != 0 {
            return Err(Repeated);
        }
        Ok(self.found.get(index).copied().flatten())
    }

    /// Reads the object that stands next in `reader`; `names` gives the numbers. `inside` is asked for each known member
    /// and may read its value itself; where it answers `None` the value is skipped here.
    ///
    /// Answers `None`, and reads nothing, if the next value is not an object.
    ///
    /// # Errors
    /// What the reader says of the text.
    pub fn read<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        names: &[&str; N],
        mut inside: impl FnMut(usize, &mut Reader<'a>) -> Result<Option<Item>, Error>,
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
            self.note(index, item);
        }
        Ok(Some(Item::container(Kind::Object, start, reader.position())))
    }
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
