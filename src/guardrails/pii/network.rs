//! Addresses of machines, and of people on them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::context::{Words, is_joined, is_spaced};
use super::pattern;
use crate::guardrails::patterns::{Candidate, Pattern, Verdict};

pub static PATTERNS: [Pattern; 5] = [
    // One more number than an address has, so that a longer version is not taken for one.
    pattern(
        "ip_address",
        concat!(
            r"(?-u:\b)",
            r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?-u:\b)(?:\.[0-9])?"
        ),
        ip_v4,
    ),
    pattern(
        "ip_address",
        r"(?:(?-u:\b)[0-9A-Fa-f]{1,4}:|::)(?:[0-9A-Fa-f]{0,4}:){0,7}(?:(?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9A-Fa-f]{1,4}(?-u:\b)|:)[:]?",
        ip_v6,
    ),
    pattern(
        "mac_address",
        r"(?-u:\b)[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5})(?-u:\b)(?:[:-][0-9A-Fa-f])?",
        mac,
    ),
    pattern(
        "mac_address",
        r"(?-u:\b)[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}(?-u:\b)(?:\.[0-9A-Fa-f])?",
        mac,
    ),
    // RFC 3986, `userinfo`: a name and a password before the host.
    pattern(
        "url_credentials",
        r#"(?-u:\b)[A-Za-z][A-Za-z0-9+.-]{1,15}://[^\x00-\x20/@:"'<>\\]{0,48}:[^\x00-\x20/@"'<>\\]{1,80}@[A-Za-z0-9._\[\]:-]{1,80}"#,
        url_credentials,
    ),
];

static ADDRESS: Words = Words::new(
    r"(?i)(?-u:\b)(?:ip|ips|ipv4|ipv6|ip_?addr(?:ess)?|client_?ip|remote_?addr|addr|address(?:es)?|hosts?|servers?|ping|from|clients?|gateway|router|nameserver|dns|inet6?|ssh|login|logged|connect(?:ed|ion|ing)?|adresse|dirección|indirizzo|endpoint|proxy|network|subnet|visitors?)(?-u:\b)",
);
static VERSION: Words = Words::new(
    r"(?i)(?-u:\b)(?:v|ver|version|versions|release|released|firmware|build|update|updated|upgraded?|revision|rev|driver|section|chapter|clause|paragraph|article|table|figure|appendix|step|chrome|firefox|safari|edge|opera|software|package|assembly|oid|library|sdk|tag)(?-u:\b)[^0-9\n]{0,12}$|(?-u:\b)v$|[§=^~><]=? ?$",
);

fn ip_v4(candidate: &Candidate<'_>) -> Option<Verdict> {
    let before = candidate.before;
    let is_part = before.ends_with(|c: char| is_spaced(c) || matches!(c, '.' | '_' | '-'))
        && !before.ends_with("--");
    if is_part {
        return None;
    }
    let address: Ipv4Addr = candidate.text.parse().ok()?;
    let near = before.get(before.floor_char_boundary(before.len().saturating_sub(48))..)?;
    let is_named = ADDRESS.are_in(near);
    let in_query = near.ends_with('=') && is_named;
    if VERSION.are_in(near) && !in_query {
        return candidate.whole(0.15);
    }
    // RFC 1166 and RFC 5737; small numbers are mostly of something else.
    let is_small = address.octets().iter().all(|octet| *octet < 20);
    let score = match address.octets() {
        [0 | 127, ..] | [255, 255, ..] => 0.2,
        [8, 8, 8, 8] | [8, 8, 4, 4] | [1, 1, 1, 1] | [1, 0, 0, 1] | [9, 9, 9, 9] => 0.3,
        _ if is_small && !is_named => 0.4,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => 0.6,
        [224..=255, ..] => 0.55,
        _ if address.is_private() || address.is_link_local() => 0.65,
        _ => 0.88,
    };
    candidate.whole(if is_named && score >= 0.4 {
        f32::min(score + 0.1, 0.97)
    } else {
        score
    })
}

/// In code, `::` stands between names.
fn ip_v6(candidate: &Candidate<'_>) -> Option<Verdict> {
    let before = candidate.before;
    if before.ends_with(|c: char| is_spaced(c) || matches!(c, ':' | '.' | '_')) {
        return None;
    }
    let text = candidate.text.strip_suffix(':').unwrap_or(candidate.text);
    let (text, address) = [candidate.text, text]
        .into_iter()
        .find_map(|text| Some((text, text.parse::<Ipv6Addr>().ok()?)))?;
    if address.is_loopback() || address.is_unspecified() {
        return candidate.part(0..text.len(), 0.2);
    }
    let groups = text.split(':').filter(|group| !group.is_empty()).count();
    let first = address.segments().first().copied().unwrap_or(0);
    let is_usual =
        matches!(first, 0x2000..=0x3fff | 0xfc00..=0xfdff | 0xfe80..=0xfebf | 0xff00.. | 0x64);
    let is_mapped = matches!(IpAddr::V6(address).to_canonical(), IpAddr::V4(_));
    let has_digits = text.bytes().any(|byte| byte.is_ascii_digit());
    // Bytes with colons between them: a fingerprint, or an identifier of 64 bits.
    let are_bytes = text.split(':').all(|group| group.len() == 2);
    let score = match (groups, is_usual) {
        _ if are_bytes => 0.2,
        (8, _) => 0.95,
        (2.., true) if has_digits => 0.9,
        (1, true) if has_digits => 0.55,
        _ if is_mapped => 0.85,
        (5.., _) if has_digits => 0.7,
        _ if groups > 1 && has_digits && ADDRESS.are_in(before) => 0.6,
        _ => 0.2,
    };
    candidate.part(0..text.len(), score)
}

/// IEEE 802: one that is part of something longer is a fingerprint's.
fn mac(candidate: &Candidate<'_>) -> Option<Verdict> {
    let text = candidate.text;
    let is_part = is_joined(candidate.before)
        || candidate.before.ends_with([':', '.'])
            && candidate
                .before
                .trim_end_matches([':', '.'])
                .ends_with(|c: char| c.is_ascii_hexdigit())
            && candidate.before.len() > 2
            && is_pair(candidate.before);
    if is_part || text.len() > 17 || text.len() == 16 {
        return None;
    }
    let signs: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    if signs
        .windows(2)
        .all(|pair| matches!(pair, [a, b] if a == b))
    {
        return candidate.whole(0.2);
    }
    let is_decimal = signs.iter().all(u8::is_ascii_digit);
    candidate.whole(match (is_decimal, text.contains(':')) {
        (false, _) => 0.93,
        (true, true) => 0.8,
        (true, false) => 0.4,
    })
}

/// Whether what stands before ends with two hexadecimal digits and a colon.
fn is_pair(before: &str) -> bool {
    let mut last = before.bytes().rev().skip(1);
    let two = [last.next(), last.next()];
    two.into_iter()
        .flatten()
        .filter(u8::is_ascii_hexdigit)
        .count()
        == 2
}

fn url_credentials(candidate: &Candidate<'_>) -> Option<Verdict> {
    let (_, rest) = candidate.text.split_once("://")?;
    let (credentials, _) = rest.rsplit_once('@')?;
    let (user, password) = credentials.split_once(':')?;
    let is_placeholder = password.starts_with(['$', '{', '[', '<', '*', '%'])
        || password.chars().all(|c| matches!(c, '*' | 'x' | 'X' | '.'));
    let is_example = user.eq_ignore_ascii_case("user") && password.eq_ignore_ascii_case("password")
        || user.eq_ignore_ascii_case("username");
    let end = candidate
        .text
        .trim_end_matches(['.', ':', '-', '_', ']', '['])
        .len();
    candidate.part(
        0..end,
        match (is_placeholder, is_example) {
            (true, _) => 0.3,
            (false, true) => 0.6,
            (false, false) => 0.95,
        },
    )
}
