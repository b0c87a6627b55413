//! Random strings that nothing names: what machines make up, and no word, hash or address looks
//! like.

use super::super::folded::ESCAPE;
use super::super::patterns::{Candidate, Pattern, Verdict};
use super::name::is_of_other;
use super::{check, letters, secret, value, vendors};

/// Characters of the longest: what is longer is a file, a picture or a certificate.
const LONGEST: usize = 160;
/// Characters of the shortest with letters of both cases.
const SHORTEST: usize = 20;
/// Characters of the shortest with letters of one case.
const SHORTEST_OF_ONE_CASE: usize = 24;
/// Characters before it that may say what it is.
const NEAR: usize = 40;
/// Of something that nothing but chance tells from a secret.
const BARE: f32 = 0.55;
/// Of something that is given to what may be a key.
const HINTED: f32 = 0.6;
/// Of something with the name of a provider before it.
const NAMED: f32 = 0.75;

/// What is random too and opens nothing, when it stands close before.
const OTHERS: [&str; 40] = [
    "sha1",
    "sha2",
    "sha3",
    "sha5",
    "sha-",
    "md5",
    "hash",
    "digest",
    "checksum",
    "integrity",
    "fingerprint",
    "base64",
    "etag",
    "commit",
    "revision",
    "uuid",
    "guid",
    "nonce",
    "public",
    "cursor",
    "h1:",
    "://",
    "www.",
    "name\"",
    "id:",
    "id\":",
    "id=",
    "alphabet",
    "address",
    "wallet",
    "ipfs",
    "\"x\":",
    "\"y\":",
    "\"n\":",
    "x5t",
    "|1|",
    "ssh-",
    "boundary",
    "encoded",
    "decode",
];

/// How what is public begins: keys that may be published, things of providers by their number, and
/// base64 of certificates, public keys and JSON.
const PUBLIC: [&str; 45] = [
    "pk_",
    "pk-",
    "pub_",
    "pub-",
    "sha",
    "eyj",
    "mii",
    "mig",
    "mfk",
    "aaaab3nza",
    "aaaac3nza",
    "aaaae2vjz",
    "price_",
    "prod_",
    "cus_",
    "sub_",
    "acct_",
    "evt_",
    "pi_",
    "pm_",
    "ch_",
    "in_",
    "txn_",
    "req_",
    "req-",
    "file_",
    "file-",
    "cmpl-",
    "chatcmpl-",
    "msg_",
    "resp_",
    "run_",
    "asst_",
    "thread_",
    "user_",
    "user-",
    "org_",
    "org-",
    "proj_",
    "team_",
    "order_",
    "session_",
    "call_",
    "toolu_",
    "0x",
];

pub(super) static PATTERNS: [Pattern; 1] = [secret(
    "random_string",
    r"(?-u:\b)[A-Za-z0-9][A-Za-z0-9+/=_~.-]{15,159}",
    random,
)];

fn random(candidate: &Candidate<'_>) -> Option<Verdict> {
    let text = candidate.text;
    let is_part = |c: char| is_in(c) || c == '%';
    if text.len() >= LONGEST || candidate.before.ends_with(is_part) {
        return None;
    }
    // A name in a program and its value: what is before the last equals sign is none of it.
    let whole = text.trim_end_matches(['.', '=', '-', '_', '/', '~']);
    let start = whole.rfind('=').map_or(0, |at| at + 1);
    let value = whole.get(start..)?;
    // The cheapest first: in a large text there are many.
    let is_random = is_random(value);
    let is_key = is_random || vendors::is_number(value) || vendors::is_dense(value);
    if !is_key || is_path(value) || is_public(value) || value::is_something_else(value) {
        return None;
    }
    let before = [candidate.before, whole.get(..start)?].concat();
    let is_alone = || is_random && !is_text(value) && !is_blob(candidate) && !is_other(&before);
    let score = match () {
        _ if is_in_address(candidate.before) || is_of_other(&before) => return None,
        _ if vendors::is_named(&before) => NAMED,
        _ if vendors::is_hinted(&before) => HINTED,
        _ if is_alone() => BARE,
        _ => return None,
    };
    let score = match check::is_stand_in(value) {
        true => super::STAND_IN,
        // What is typed by hand is a key only where something says so.
        false if check::is_typed(value) => {
            if score == BARE {
                super::STAND_IN
            } else {
                super::TYPED
            }
        }
        false => score,
    };
    candidate.part(start..whole.len(), score)
}

/// Whether what stands before it says that it is a number of something, or a hash.
fn is_other(before: &str) -> bool {
    let at = before.ceil_char_boundary(before.len().saturating_sub(NEAR));
    let near = before.get(at..).unwrap_or_default().to_ascii_lowercase();
    let mut words = near
        .rsplit(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let last = words.next().unwrap_or_default();
    let is_number = |word: &str| word == "id" || word == "ids";
    last.ends_with("id")
        || is_number(last)
        || words.next().is_some_and(is_number)
        || OTHERS.iter().any(|word| near.contains(word))
}

/// A path, or the name of a machine or a file.
fn is_path(text: &str) -> bool {
    text.split(['/', '.'])
        .any(|part| part.len() > 3 && letters::is_wordy(part))
}

/// Whether it begins like what may be published.
pub(super) fn is_public(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    PUBLIC.iter().any(|begin| lower.starts_with(begin))
}

/// Whether it is base64 of something to read.
fn is_text(text: &str) -> bool {
    let is_written = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    let read = check::from_base64(text).filter(|bytes| bytes.iter().all(is_written));
    let read = read.and_then(|bytes| String::from_utf8(bytes).ok());
    read.is_some_and(|read| letters::share_of_words(&read) > 0.4)
}

/// What is a part of an address is not a secret; parameters that are have names.
fn is_in_address(before: &str) -> bool {
    let last = before.rsplit(|c: char| c.is_whitespace() || "\"'<>(".contains(c));
    last.take(1)
        .any(|last| last.contains("://") || last.contains(['&', '%']))
}

fn is_in(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+/=_~.-".contains(c)
}

/// A line of base64 that others stand before, or with the usual length of one.
fn is_blob(candidate: &Candidate<'_>) -> bool {
    let is_line = |line: &str| line.len() >= 40 && line.chars().all(is_in);
    let before = candidate.before;
    // A line break that is written as in a program.
    let is_broken = before.ends_with(ESCAPE);
    let last = before.trim_end_matches(|c: char| c.is_whitespace() || "\"'+\\".contains(c));
    let last = last.rsplit(['\n', ESCAPE, '"', '\'', ' ']).next();
    let begins_line = before.is_empty() || before.ends_with(['\n', ' ', '\t', '"']);
    let is_usual = matches!(candidate.text.len(), 64 | 72 | 76) && !before.is_empty();
    is_broken && last.is_some_and(|line| line.len() >= 20)
        || last.is_some_and(is_line)
        || (begins_line && is_usual && before.ends_with('\n'))
}

/// Whether chance made it: of many kinds of characters, without words.
pub(super) fn is_random(text: &str) -> bool {
    let count = |is: fn(&u8) -> bool| text.bytes().filter(is).count();
    let upper = count(u8::is_ascii_uppercase);
    let lower = count(u8::is_ascii_lowercase);
    let digits = count(u8::is_ascii_digit);
    let others = text.len() - upper - lower - digits;
    if others * 5 > text.len() || letters::share_of_words(text) > 0.3 || has_hash(text) {
        return false;
    }
    let entropy = check::entropy(text);
    let of_both = text.len() >= SHORTEST && upper >= 3 && lower >= 3 && digits >= 2;
    // Hexadecimal digits are those of hashes.
    let beyond = text
        .bytes()
        .filter(|b| b.is_ascii_alphabetic() && b.to_ascii_lowercase() > b'f')
        .count();
    let is_one_case = upper == 0 || lower == 0;
    let of_one = text.len() >= SHORTEST_OF_ONE_CASE && is_one_case && digits >= 4 && beyond >= 5;
    (of_both && entropy >= 3.7 && beyond > 0) || (of_one && entropy >= 3.5)
}

/// Whether a part of it is hexadecimal, as in versions and in names of files and models.
fn has_hash(text: &str) -> bool {
    let mut parts = text.split(|c: char| !c.is_ascii_alphanumeric());
    let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    parts.any(|part| part.len() >= 12 && part.bytes().all(is_digit))
}

#[cfg(test)]
mod tests {
    use super::super::tests::likely;

    #[test]
    fn random_strings_are_found_without_a_name() {
        for token in [
            "9f8Kq2LmZx7Vb3Nw5Rt1",
            "q7Zp_0Xr4-Lk2Mv9Tb6Yw1Hs8Dj3",
            "k3j9x0q7w2m5z8v1t4r6p0n2",
            "wJ4rXUt9FEM3K7MDxNG/bPxRf+CYzQ2kL8vTn5Sa",
        ] {
            for text in [
                format!("try {token} please"),
                format!("foo('{token}')"),
                format!("acme={token}\n"),
            ] {
                let found = likely(&text);
                assert!(found.iter().any(|one| one.1 == token), "{text}: {found:?}");
            }
        }
    }

    #[test]
    fn what_only_looks_random_is_none() {
        for text in [
            "commit 3c59dc048e8850243be8079a5c74d079a1b2c3d4",
            "\"integrity\": \"sha512-9f8Kq2LmZx7Vb3Nw5Rt19f8Kq2LmZx7Vb3Nw5Rt1==\"",
            "golang.org/x/net v0.1.0 h1:9f8Kq2LmZx7Vb3Nw5Rt1q7Zp0Xr4Lk2Mv9Tb6Yw1=",
            "id: 123e4567-e89b-12d3-a456-426614174000",
            "D3DKMTSignalSynchronizationObject2FromCpu",
            "https://docs.acme.io/d/9f8Kq2LmZx7Vb3Nw5Rt1/edit",
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUA",
            "static/js/main.9f8Kq2LmZx.chunk.js",
            "golang.org/x/net v0.0.0-20190724234803-3673e40ba225/go.mod",
            "\"layout\": \"IPY_MODEL_fab527e3ad644238aa80e36dcb01725a\"",
            "{\"next_page_token\": \"9f8Kq2LmZx7Vb3Nw5Rt1\"}",
            "the request id is 9f8Kq2LmZx7Vb3Nw5Rt1",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIXrZNKU3IDsQ9NAS5BiHhI2haURym1OjvDXC me@host",
            "customer cus_9f8Kq2LmZx7Vb3Nw and pk_live_9f8Kq2LmZx7Vb3Nw5Rt1",
            "send it to 0x52908400098527886E0F7030069857D2E4169EE7",
            "what is SGVsbG8sIHdvcmxkISBUaGlzIGlzIHRleHQu in English?",
            "\"crv\": \"P-256\", \"x\": \"9f8Kq2LmZx7Vb3Nw5Rt1q7Zp0Xr4Lk2Mv9Tb6Yw1\"",
            "the file report-2024-01-02T03-04-05Z-final.pdf",
        ] {
            assert!(likely(text).is_empty(), "{text}: {:?}", likely(text));
        }
    }
}
