//! Counting the tokens and bracket levels of a document without parsing it: the parser itself recurses.

/// What a glance over the text finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    /// Names, numbers, strings and punctuation marks.
    pub(super) count: usize,
    /// The deepest nesting of `{`, `[` and `(`.
    pub(super) nesting: usize,
}

/// Counts. Broken documents are counted too; the parser says what is wrong with them.
pub(super) fn count(document: &str) -> Tokens {
    let bytes = document.as_bytes();
    let mut tokens = Tokens::default();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        at = match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => at + 1,
            b'#' => skip_while(bytes, at, |byte| byte != b'\n'),
            b'"' => {
                tokens.count += 1;
                skip_string(bytes, at)
            }
            b'{' | b'[' | b'(' => {
                tokens.count += 1;
                depth += 1;
                tokens.nesting = tokens.nesting.max(depth);
                at + 1
            }
            b'}' | b']' | b')' => {
                tokens.count += 1;
                depth = depth.saturating_sub(1);
                at + 1
            }
            byte if is_word(*byte) => {
                tokens.count += 1;
                skip_while(bytes, at, is_word)
            }
            _ => {
                tokens.count += 1;
                at + 1
            }
        };
    }
    tokens
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'+') || !byte.is_ascii()
}

fn skip_while(bytes: &[u8], from: usize, keep: impl Fn(u8) -> bool) -> usize {
    bytes[from..].iter().position(|byte| !keep(*byte)).map_or(bytes.len(), |length| from + length)
}

fn skip_string(bytes: &[u8], from: usize) -> usize {
    let quotes: &[u8] = if bytes[from..].starts_with(b"\"\"\"") { b"\"\"\"" } else { b"\"" };
    let mut at = from + quotes.len();
    while at < bytes.len() {
        if bytes[at] == b'\\' {
            at += 2;
        } else if bytes[at..].starts_with(quotes) {
            return at + quotes.len();
        } else {
            at += 1;
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_counted_and_brackets_nest() {
        for (case, document, count, nesting) in [
            ("empty", "", 0, 0),
            ("names and braces", "{ viewer { id name } }", 7, 2),
            ("arguments", "{ node(id: \"x y ( { \") { id } }", 11, 2),
            ("a comment", "{ # ((((\n id }", 3, 1),
            ("a block string", "{ a(b: \"\"\" { \\\"\"\" { \"\"\") }", 8, 2),
            ("an escaped quote", r#"{ a(b: "\"((" ) }"#, 8, 2),
            ("not closed", "{ a(b: \"", 6, 2),
            ("only brackets", "[[[[", 4, 4),
        ] {
            assert_eq!(super::count(document), Tokens { count, nesting }, "{case}");
        }
    }
}
