//! Keyset pages: which part of an ordered list is wanted, and the cursor that names a place in it.
//!
//! A cursor holds its list's name and the sort key of a row, so a page costs the same anywhere in a list, rows that come
//! or go between two pages neither repeat nor hide others, and a cursor of another list is noticed. Its text is opaque to
//! clients: base64url over JSON.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};

use crate::domain::limits;

/// The part of a list to give: `size` rows after or before a place, from the front or the back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Page<K> {
    /// Rows wanted, at least 0.
    pub size: u32,
    /// Whether the rows are counted from the end of the range (`last`).
    pub backward: bool,
    /// Only rows behind this key.
    pub after: Option<K>,
    /// Only rows in front of this key.
    pub before: Option<K>,
}

impl<K> Page<K> {
    /// The first `size` rows.
    #[must_use]
    pub fn first(size: u32) -> Self {
        Self { size, backward: false, after: None, before: None }
    }
}

/// One part of a list, in list order, and whether there is more on either side.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Whether rows stand in front of the first.
    pub has_previous: bool,
    /// Whether rows stand behind the last.
    pub has_next: bool,
}

impl<T> Slice<T> {
    /// Cuts what a query found to the page: `found` holds up to `size + 1` rows in the order of the query, which is
    /// reversed for a backward page.
    #[must_use]
    pub fn cut<K>(mut found: Vec<T>, page: &Page<K>) -> Self {
        let more = found.len() > page.size as usize;
        found.truncate(page.size as usize);
        if page.backward {
            found.reverse();
            Self { rows: found, has_previous: more, has_next: page.before.is_some() }
        } else {
            Self { rows: found, has_previous: page.after.is_some(), has_next: more }
        }
    }

    /// The same slice of other rows.
    #[must_use]
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Slice<U> {
        let Self { rows, has_previous, has_next } = self;
        Slice { rows: rows.into_iter().map(f).collect(), has_previous, has_next }
    }
}

/// What a cursor says it is a place in: a short name, one for each kind of list and order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List(pub &'static str);

/// Why paging arguments are refused; `field` names the argument.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PageError {
    /// The argument at fault.
    pub field: &'static str,
    /// What to do instead.
    pub message: String,
}

/// The four paging arguments as a client sends them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageArguments {
    /// Rows from the front.
    pub first: Option<i32>,
    /// Cursor behind which the rows stand.
    pub after: Option<String>,
    /// Rows from the back.
    pub last: Option<i32>,
    /// Cursor in front of which the rows stand.
    pub before: Option<String>,
}

impl PageArguments {
    /// Reads the arguments of a page of `list`; exactly one of `first` and `last`, at most [`limits::PAGE_ROWS`].
    ///
    /// # Errors
    /// [`PageError`] naming the argument that is missing, too large or not a cursor of this list.
    pub fn parse<K: DeserializeOwned>(&self, list: List) -> Result<Page<K>, PageError> {
        self.parse_up_to(limits::PAGE_ROWS, list)
    }

    /// As [`PageArguments::parse`], with a limit of the list's own.
    ///
    /// # Errors
    /// As [`PageArguments::parse`].
    pub fn parse_up_to<K: DeserializeOwned>(&self, most: u32, list: List) -> Result<Page<K>, PageError> {
        let (field, size, backward) = match (self.first, self.last) {
            (Some(first), None) => ("first", first, false),
            (None, Some(last)) => ("last", last, true),
            _ => return Err(PageError { field: "first", message: "give one of first and last".to_owned() }),
        };
        let size = u32::try_from(size)
            .ok()
            .filter(|size| *size <= most)
            .ok_or_else(|| PageError { field, message: format!("must be from 0 to {most}") })?;
        let after = self.after.as_deref().map(|text| decode(list, "after", text)).transpose()?;
        let before = self.before.as_deref().map(|text| decode(list, "before", text)).transpose()?;
        Ok(Page { size, backward, after, before })
    }
}

/// The cursor that names the row with this sort key in `list`.
#[must_use]
pub fn encode(list: List, key: &impl Serialize) -> String {
    // A key is a tuple of numbers, texts and ids: writing it cannot fail.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&(list.0, key)).unwrap_or_default())
}

fn decode<K: DeserializeOwned>(list: List, field: &'static str, text: &str) -> Result<K, PageError> {
    let wrong = || PageError { field, message: "is not a cursor of this list".to_owned() };
    if text.len() > limits::CURSOR_BYTES {
        return Err(wrong());
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong())?;
    let (name, key): (String, K) = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
    if name == list.0 { Ok(key) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: List = List("list");

    fn arguments(first: Option<i32>, last: Option<i32>, after: Option<&str>) -> PageArguments {
        PageArguments { first, last, after: after.map(str::to_owned), before: None }
    }

    #[test]
    fn one_of_first_and_last_within_the_limit() {
        for (case, arguments, want) in [
            ("first", arguments(Some(2), None, None), Ok((2, false))),
            ("last", arguments(None, Some(200), None), Ok((200, true))),
            ("none of them", arguments(None, None, None), Err("first")),
            ("both", arguments(Some(1), Some(1), None), Err("first")),
            ("too many", arguments(Some(201), None, None), Err("first")),
            ("negative", arguments(None, Some(-1), None), Err("last")),
            ("not a cursor", arguments(Some(1), None, Some("?")), Err("after")),
            ("a cursor of another list", arguments(Some(1), None, Some(&encode(List("other"), &(5, 9)))), Err("after")),
            ("a cursor with another key", arguments(Some(1), None, Some(&encode(LIST, &"text"))), Err("after")),
        ] {
            let page = arguments.parse::<(i32, u64)>(LIST);
            assert_eq!(page.map(|page| (page.size, page.backward)).map_err(|error| error.field), want, "{case}");
        }
    }

    #[test]
    fn a_backward_page_is_given_in_list_order() {
        let page = Page { size: 2, backward: true, after: None, before: Some(9) };
        let slice = Slice::cut(vec![8, 7, 6], &page);
        assert_eq!(slice, Slice { rows: vec![7, 8], has_previous: true, has_next: true });
    }

    #[test]
    fn a_cursor_gives_its_key_back() {
        let text = encode(LIST, &(5, 9_u64));
        assert_eq!(
            arguments(Some(1), None, Some(&text)).parse(LIST),
            Ok(Page { size: 1, backward: false, after: Some((5, 9_u64)), before: None })
        );
    }
}
