//! Finds the paths that Rust code names: a small scanner, which knows tokens, `use` trees and inline modules.

use std::fmt;

/// One path as written, groups spread: `use crate::{repo::Db, kind}` gives two.
#[derive(Debug, Default)]
pub(crate) struct UsedPath {
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
    /// Inline modules around it.
    pub(crate) inside: Vec<String>,
}

impl fmt::Display for UsedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.segments.join("::"))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) paths: Vec<UsedPath>,
    /// (line, name) of the `mod` items of the file itself.
    pub(crate) modules: Vec<(usize, String)>,
}

pub(crate) fn scan(source: &str) -> Scan {
    let tokens = tokens(source);
    let at = |index: usize| tokens.get(index).map(|(_, token)| token);
    let mut found = Scan::default();
    // Inline modules that are open, each with the depth of braces outside it.
    let mut inside: Vec<(String, usize)> = Vec::new();
    let mut depth = 0_usize;
    let mut index = 0;
    while let Some((line, token)) = tokens.get(index) {
        let line = *line;
        let inside_now = || inside.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        index += 1;
        match token {
            Token::Sign('{') => depth += 1,
            Token::Sign('}') => {
                depth = depth.saturating_sub(1);
                if inside.last().is_some_and(|(_, outside)| *outside == depth) {
                    inside.pop();
                }
            }
            Token::Word(word) if word == "mod" => {
                let (Some(Token::Word(name)), Some(Token::Sign(next))) = (at(index), at(index + 1)) else { continue };
                if inside.is_empty() {
                    found.modules.push((line, name.clone()));
                }
                if *next == '{' {
                    inside.push((name.clone(), depth));
                    depth += 1;
                }
                index += 2;
            }
            // `use<'a, T>` in a type is no import.
            Token::Word(word) if word == "use" && at(index) != Some(&Token::Sign('<')) => {
                let mut paths = Vec::new();
                index = read_use_tree(&tokens, index, &[], &mut paths);
                let inside = inside_now();
                let path = |(line, segments)| UsedPath { line, segments, inside: inside.clone() };
                found.paths.extend(paths.into_iter().map(path));
            }
            Token::Word(word) if word == "extern" && at(index) == Some(&Token::Word("crate".to_owned())) => {
                if let Some(Token::Word(name)) = at(index + 1) {
                    found.paths.push(UsedPath { line, segments: vec![name.clone()], inside: inside_now() });
                }
                index += 2;
            }
            Token::Word(word) => {
                let is_head = !goes_on(&tokens[..index - 1]);
                let mut segments = vec![word.clone()];
                let mut is_path = false;
                while at(index) == Some(&Token::PathSep) {
                    is_path = true;
                    index += 1;
                    let Some(Token::Word(next)) = at(index) else { break };
                    segments.push(next.clone());
                    index += 1;
                }
                if is_path && is_head {
                    found.paths.push(UsedPath { line, segments, inside: inside_now() });
                }
            }
            Token::Sign(_) | Token::PathSep => {}
        }
    }
    found
}

/// Tells whether the next word belongs to what stands before it: a method `x.name::<T>()`, or `<T as X>::name::y`.
fn goes_on(before: &[(usize, Token)]) -> bool {
    let mut back = before.iter().rev().map(|(_, token)| token);
    match (back.next(), back.next()) {
        (Some(Token::Sign('.')), before_dot) => before_dot != Some(&Token::Sign('.')), // `..` is a range
        (Some(Token::PathSep), before_sep) => before_sep == Some(&Token::Sign('>')),
        _ => false,
    }
}

/// Reads one branch of a `use` from `index`, up to and without its `,`, `}` or `;`. Gives where it stopped.
fn read_use_tree(
    tokens: &[(usize, Token)],
    mut index: usize,
    prefix: &[String],
    paths: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let mut segments = prefix.to_vec();
    let mut last_line = 0;
    while let Some((line, token)) = tokens.get(index) {
        match token {
            Token::Word(word) if word == "as" => index += 1,
            Token::Word(word) => segments.push(word.clone()),
            Token::Sign('*') => segments.push("*".to_owned()),
            Token::Sign('{') => {
                while !matches!(tokens.get(index), None | Some((_, Token::Sign('}')))) {
                    index = read_use_tree(tokens, index + 1, &segments, paths);
                }
                return index + 1;
            }
            Token::Sign(',' | '}' | ';') => break,
            Token::Sign(_) | Token::PathSep => {}
        }
        last_line = *line;
        index += 1;
    }
    if segments.len() > prefix.len() {
        paths.push((last_line, segments));
    }
    index
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    PathSep,
    Sign(char),
}

/// Cuts code into (line, token), without comments, strings, characters, lifetimes and numbers.
fn tokens(source: &str) -> Vec<(usize, Token)> {
    let chars: Vec<char> = source.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut index = 0;
    while index < chars.len() {
        let start = index;
        match (at(index), at(index + 1)) {
            ('/', '/') => {
                while index < chars.len() && at(index) != '\n' {
                    index += 1;
                }
            }
            ('/', '*') => index = end_of_comment(&chars, index),
            ('"', _) => index = end_of_string(&chars, index),
            ('\'', '\\') => {
                // The character after the backslash may be a quote itself.
                index += 3;
                while index < chars.len() && at(index) != '\'' {
                    index += 1;
                }
                index += 1;
            }
            ('\'', _) if at(index + 2) == '\'' => index += 3,
            ('\'', _) => {
                index += 1;
                while is_word(at(index)) {
                    index += 1;
                }
            }
            (':', ':') => {
                tokens.push((line, Token::PathSep));
                index += 2;
            }
            (c, _) if is_word(c) => {
                while is_word(at(index)) {
                    index += 1;
                }
                let word: String = chars[start..index].iter().collect();
                let hashes = chars[index..].iter().take_while(|c| **c == '#').count();
                if matches!(word.as_str(), "r" | "br" | "cr") && at(index + hashes) == '"' {
                    index = end_of_raw_string(&chars, index + hashes + 1, hashes);
                } else if word == "r" && hashes == 1 {
                    // r#use is a name, so its mark stays.
                    index += 1;
                    while is_word(at(index)) {
                        index += 1;
                    }
                    tokens.push((line, Token::Word(chars[start..index].iter().collect())));
                } else if !c.is_ascii_digit() {
                    tokens.push((line, Token::Word(word)));
                }
            }
            (c, _) => {
                if !c.is_whitespace() {
                    tokens.push((line, Token::Sign(c)));
                }
                index += 1;
            }
        }
        line += chars[start..index.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

fn end_of_comment(chars: &[char], mut index: usize) -> usize {
    let mut open = 0;
    while index < chars.len() {
        match chars[index..] {
            ['/', '*', ..] => {
                open += 1;
                index += 2;
            }
            ['*', '/', ..] => {
                open -= 1;
                index += 2;
            }
            _ => index += 1,
        }
        if open == 0 {
            break;
        }
    }
    index
}

fn end_of_string(chars: &[char], mut index: usize) -> usize {
    index += 1;
    while index < chars.len() && chars[index] != '"' {
        index += if chars[index] == '\\' { 2 } else { 1 };
    }
    index + 1
}

fn end_of_raw_string(chars: &[char], mut index: usize, hashes: usize) -> usize {
    while index < chars.len() {
        let closes =
            chars[index] == '"' && chars[index + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
        index += 1;
        if closes {
            return index + hashes;
        }
    }
    index
}
