//! E-mail addresses (RFC 5321, RFC 6531), and such as people write to hide them from programs.

use super::context::spaced;
use super::pattern;
use crate::guardrails::patterns::{Candidate, Pattern, Verdict};

/// Letters of scripts that have blanks between words: others would keep a stream waiting for a whole
/// sentence.
macro_rules! local {
    () => {
        concat!(
            r"[A-Za-z0-9_",
            spaced!(),
            r"][A-Za-z0-9_.+%'&/=^~!#$*?|{}",
            spaced!(),
            r"-]{0,63}"
        )
    };
}

/// What is not ASCII is taken for letters here, and judged later. What follows a top-level domain of
/// ASCII letters without a blank is no part of it.
macro_rules! domain {
    () => {
        r"(?:[A-Za-z0-9[^\x00-\x7f]][A-Za-z0-9[^\x00-\x7f]-]{0,62}\.){1,5}(?:(?i:xn--[a-z0-9-]{2,40})|[A-Za-z]{2,24}|[^\x00-\x7f]{2,16})"
    };
}

pub static PATTERNS: [Pattern; 2] = [
    pattern("email", concat!(local!(), r"(?:@|%40)", domain!()), address),
    pattern(
        "email",
        concat!(
            r"(?-u:\b)[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}",
            r"(?: ?[\[({<] ?(?i:at|@|ät|arroba) ?[\])}>] ?| (?i:at|arroba) )",
            r"[A-Za-z0-9][A-Za-z0-9-]{0,40}(?:(?: ?[\[({<] ?(?i:dot|\.|punkt|point|punto) ?[\])}>] ?| (?i:dot|punto) |\.)[A-Za-z0-9-]{2,24}){1,3}(?-u:\b)"
        ),
        obfuscated,
    ),
];

/// What files are called, never a domain.
const FILES: [&str; 24] = [
    "png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "css", "js", "ts", "jsx", "tsx", "json",
    "html", "txt", "pdf", "xml", "yaml", "yml", "toml", "exe", "dll", "jar", "scss",
];

fn address(candidate: &Candidate<'_>) -> Option<Verdict> {
    let text = candidate.text;
    let (local, domain) = text.rsplit_once('@').or_else(|| text.split_once("%40"))?;
    if in_userinfo(candidate.before, local) || candidate.before.ends_with('@') {
        return None;
    }
    // A query's names and a path's parts come before, of which RFC 5322 allows the signs.
    let start = local.rfind([
        '=', '/', '?', '&', '|', '*', '{', '}', '!', '$', '#', '~', '^',
    ]);
    let start = start.map_or(0, |at| at + 1);
    let local = local.get(start..)?;
    let local = local.trim_start_matches(['.', '\'', '-', '%', '+']);
    let start = text.len() - domain.len() - local.len() - if text.contains('@') { 1 } else { 3 };
    if local.is_empty() || local.ends_with('.') || local.contains("..") {
        return None;
    }
    let end = domain_end(domain)?;
    let end = text.len() - domain.len() + end;
    let domain = text.get(text.len() - domain.len()..end)?;
    let (_, top) = domain.rsplit_once('.')?;
    let numbers = domain
        .split('.')
        .filter(|label| label.bytes().all(|b| b.is_ascii_digit()));
    let score = match () {
        () if FILES.contains(&top.to_ascii_lowercase().as_str()) => return None,
        () if numbers.count() > 1 => return None,
        // The address of a repository.
        () if local == "git" => 0.2,
        () if !text.contains('@') => 0.8,
        () if local.contains('%') => 0.7,
        () => 0.98,
    };
    candidate.part(start..end, score)
}

/// `https://name:password@host`, where the password looks like an address's name. With a host and a
/// path between, `local` is of the path or the query.
fn in_userinfo(before: &str, local: &str) -> bool {
    let token = before
        .rsplit(char::is_whitespace)
        .next()
        .unwrap_or_default();
    let rest = token.rsplit_once("://").map(|(_, rest)| rest);
    let ends_host = ['/', '?', '=', ','];
    rest.is_some_and(|rest| !rest.contains(ends_host) && !local.contains(ends_host))
}

/// Where a domain ends that a sentence follows without a blank ("a@b.example.Please call").
fn domain_end(domain: &str) -> Option<usize> {
    let is_letter = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.');
    let (rest, top) = domain.rsplit_once('.')?;
    if let Some(at) = top.find(|c| !is_letter(c)) {
        return (at > 0).then_some(rest.len() + 1 + at);
    }
    if !domain.chars().all(is_letter) {
        return None;
    }
    let is_sentence = top.starts_with(|c: char| c.is_ascii_uppercase())
        && top.chars().skip(1).all(|c| c.is_ascii_lowercase())
        && top.len() > 1
        && rest.contains('.')
        && !domain.starts_with(|c: char| c.is_ascii_uppercase());
    Some(if is_sentence {
        rest.len()
    } else {
        domain.len()
    })
}

fn obfuscated(candidate: &Candidate<'_>) -> Option<Verdict> {
    let text = candidate.text.to_ascii_lowercase();
    let is_bracketed = text.contains(['[', '(', '{', '<']);
    let has_dot_word = [" dot ", " punto "].iter().any(|dot| text.contains(dot));
    let top = text.rsplit(|c: char| !c.is_ascii_alphanumeric()).next()?;
    let is_word = top.len() >= 2 && top.bytes().all(|byte| byte.is_ascii_lowercase());
    match (is_word, is_bracketed, has_dot_word) {
        (true, true, _) => candidate.whole(0.8),
        (true, false, true) => candidate.whole(0.65),
        _ => None,
    }
}
