//! URI templates of RFC 6570 level 1: literals and `{name}`. A variable matches one or more
//! characters up to the next literal. It never matches `/`, `?` or `#`, because the expansion of
//! level 1 escapes those.

use super::uri::Pair;
use crate::json::Text;

/// Whether `uri` is an expansion of `template`.
pub fn fits(template: &str, uri: Text<'_>) -> bool {
    walk(template, uri, |_, _| {})
}

/// Returns the characters of `uri` that the variable `name` of `template` matches, still
/// percent-encoded.
///
/// `None` if `uri` is not an expansion of `template`, or the template has no such variable.
pub fn variable<'a>(template: &str, uri: Text<'a>, name: &str) -> Option<Text<'a>> {
    let mut found = None;
    let fits = walk(template, uri, |variable, text| {
        if variable == name {
            found = Some(text);
        }
    });
    if fits { found } else { None }
}

/// Returns the names of the variables of `template`, in their order.
pub fn names(template: &str) -> impl Iterator<Item = &str> {
    let mut rest = template;
    // The code searches bytes, because the linker cannot prove that the library's search in strings
    // does not panic.
    let find = |text: &str, wanted: u8| text.bytes().position(|byte| byte == wanted);
    core::iter::from_fn(move || {
        let behind = rest.get(find(rest, b'{')?.checked_add(1)?..)?;
        let (name, behind) = behind.split_at_checked(find(behind, b'}')?)?;
        rest = behind;
        Some(name)
    })
}

fn walk<'a>(template: &str, uri: Text<'a>, mut each: impl FnMut(&str, Text<'a>)) -> bool {
    let mut rest = template;
    let mut chars = uri.chars();
    loop {
        let (literal, behind) = rest.split_once('{').unwrap_or((rest, ""));
        let mut pair = Pair::new();
        if !literal.chars().all(|known| chars.next().is_some_and(|char| pair.same(known, char))) {
            return false;
        }
        if literal.len() == rest.len() {
            return chars.next().is_none();
        }
        let Some((name, behind)) = behind.split_once('}') else {
            return false;
        };
        let stop = behind.chars().next();
        let from = chars.clone();
        let mut len = 0;
        while let Some(char) = chars.clone().next()
            && Some(char) != stop
            && !matches!(char, '/' | '?' | '#')
        {
            chars.next();
            len += 1;
        }
        if len == 0 {
            return false;
        }
        each(name, from.up_to(&chars));
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Value;

    #[test]
    fn uri_that_expands_a_template_fits_it_and_gives_its_variables() {
        for (template, uri, name, value) in [
            ("test://template/{id}/data", r#""test://template/123/data""#, "id", Some("123")),
            ("test://template/{id}/data", r#""test:\/\/template\/1\u00323\/data""#, "id", Some("123")),
            ("test://template/{id}/data", r#""test://template/1%2F2/data""#, "id", Some("1%2F2")),
            ("test://template/{id}/data", r#""test://template//data""#, "id", None),
            ("test://template/{id}/data", r#""test://template/1/2/data""#, "id", None),
            ("test://template/{id}/data", r#""test://template/1/dat""#, "id", None),
            ("test://template/{id}/data", r#""test://template/1/data2""#, "id", None),
            ("test://template/{id}/data", r#""test://template/1/data""#, "other", None),
            ("log://{day}-{level}", r#""log://monday-7""#, "level", Some("7")),
            ("log://%c3%a9/{day}", r#""log://%C3%A9/%c3""#, "day", Some("%c3")),
            ("log://{day}-{level}", r#""log://monday""#, "day", None),
            ("log://{broken", r#""log://x""#, "broken", None),
        ] {
            let uri = Value::parse(uri.as_bytes()).unwrap().text().unwrap();
            let found = variable(template, uri, name);
            assert_eq!(found.is_some(), value.is_some(), "{template} {uri:?}");
            if let (Some(found), Some(value)) = (found, value) {
                assert!(found.is(value));
            }
        }
    }
}
