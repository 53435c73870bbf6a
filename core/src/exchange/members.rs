//! Looks up rarely used members of `params` on demand. Each name that the one pass over the body
//! knows costs every request a comparison for each of its keys.

use crate::json::{Item, Kind as Json, Repeated};
use crate::rpc::Error;

/// Returns a member unless it is `null`, which some clients write for a member that they leave out.
pub(super) fn there(member: Option<Item>) -> Option<Item> {
    member.filter(|item| item.kind() != Json::Null)
}

/// Passes the name and the value of each member of `object` to `take`, until `take` fails.
pub(super) fn each_member(
    object: Item,
    body: &[u8],
    mut take: impl FnMut(Item, Item) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut reader = object.of(body).reader();
    // The text was checked as part of the body, so the reader returns no error.
    if !matches!(reader.enter_object(), Ok(Some(_))) {
        return Ok(());
    }
    while let Ok(Some(name)) = reader.key_place()
        && let Ok(value) = reader.skip()
    {
        take(name.within(object), value.within(object))?;
    }
    Ok(())
}

/// Returns the value in `object` at a path of property names, each preceded by a slash.
pub(super) fn at_path(object: Option<Item>, path: &str, body: &[u8]) -> Result<Option<Item>, Repeated> {
    let mut found = object;
    let mut rest = path.strip_prefix('/');
    while let (Some(outer), Some(path)) = (found, rest) {
        let (name, behind) = path.split_once('/').map_or((path, None), |(name, behind)| (name, Some(behind)));
        [found] = fields(outer, [name], body)?;
        rest = behind;
    }
    Ok(found)
}

/// Returns the members of an object with these names, each at most once.
pub(super) fn fields<const N: usize>(
    object: Item,
    names: [&str; N],
    body: &[u8],
) -> Result<[Option<Item>; N], Repeated> {
    let mut found = [None; N];
    pick(object, &names, body, &mut found)?;
    Ok(found)
}

/// The part of [`fields`] that does not depend on `N`, so that it is compiled once.
fn pick(object: Item, names: &[&str], body: &[u8], found: &mut [Option<Item>]) -> Result<(), Repeated> {
    let mut reader = object.of(body).reader();
    // The text was already checked as part of the body, so the reader returns no error.
    if !matches!(reader.enter_object(), Ok(Some(_))) {
        return Ok(());
    }
    while let Ok(Some(key)) = reader.key() {
        let Ok(item) = reader.skip() else {
            return Ok(());
        };
        if let Some(slot) = key.position(names).and_then(|index| found.get_mut(index)) {
            if slot.is_some() {
                return Err(Repeated);
            }
            *slot = Some(item.within(object));
        }
    }
    Ok(())
}
