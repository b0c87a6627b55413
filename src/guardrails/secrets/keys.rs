//! Our own keys, private keys, JSON web tokens and keys.

use serde_json::Value;

use super::super::folded::ESCAPE;
use super::super::patterns::{Candidate, Pattern, Verdict};
use super::{CERTAIN, DISTINCT, STAND_IN, check, secret};

/// Digits of a key of ours after its prefix; the last eight are a checksum of all before.
const OWN_DIGITS: usize = 72;
/// Characters of base64 that a private key has at least; the shortest there are have 64.
const LEAST_KEY: usize = 40;

pub(super) static PATTERNS: [Pattern; 7] = [
    secret(
        "microllm_key",
        r"sk-mllm-(?:admin-)?[0-9a-f]{72}[0-9A-Za-z]*",
        own,
    ),
    // RFC 7468, RFC 9580, and what is put before the key in older forms.
    secret(
        "private_key",
        r#"-----BEGIN (?:[A-Z0-9]{1,12} ){0,4}PRIVATE KEY(?: BLOCK)?-----(?:[[:space:]\\nr"+]{1,12}(?:Proc-Type|DEK-Info|Version|Comment|Hash|Charset|Subject)[^\n]{0,100}){0,5}[A-Za-z0-9+/= \t\r\n\x0b\\"',]*"#,
        pem,
    ),
    secret(
        "private_key",
        r"Private-Lines: [0-9]{1,3}[A-Za-z0-9+/= \t\r\n\x0b]{41,}",
        putty,
    ),
    secret(
        "private_key",
        r#""(?:d|k)"[[:space:]]{0,3}:[[:space:]]{0,3}"[A-Za-z0-9_-]{22,}"#,
        web_key,
    ),
    secret(
        "jwt",
        r"(?-u:\b)e[wy][A-Za-z0-9_-]{10}[A-Za-z0-9_.=-]*",
        web_token,
    ),
    // Bitcoin's extended private keys.
    secret(
        "private_key",
        r"(?-u:\b)[xyzt]prv[1-9A-HJ-NP-Za-km-z]{100,}",
        |candidate| candidate.whole(DISTINCT),
    ),
    // A private key in base64 once more, as in settings of clusters and build servers.
    secret("private_key", r"LS0tLS1CRUdJTi[A-Za-z0-9+/=]{40,}", encoded),
];

fn own(candidate: &Candidate<'_>) -> Option<Verdict> {
    let prefix = candidate.text.rfind('-')? + 1;
    let key = candidate.text.get(..prefix + OWN_DIGITS)?;
    match check::has_hex_checksum(key) {
        true => candidate.whole(CERTAIN),
        false => candidate.whole(STAND_IN * 2.0),
    }
}

/// The key with its first line, up to the last: that is no secret, nor is a first line alone.
fn pem(candidate: &Candidate<'_>) -> Option<Verdict> {
    let longest = candidate.text.split(|c: char| !is_base64(c));
    let longest = longest.map(str::len).max()?;
    let score = match longest >= LEAST_KEY {
        true => CERTAIN,
        // A short last line, or one that is cut off.
        false if longest > 24 => 0.6,
        false => return None,
    };
    candidate.whole(score)
}

fn encoded(candidate: &Candidate<'_>) -> Option<Verdict> {
    let first = candidate.text.get(..52)?;
    let line = check::from_base64(first)?;
    let is_key = line.windows(11).any(|part| part == b"PRIVATE KEY");
    is_key.then(|| candidate.whole(DISTINCT))?
}

fn putty(candidate: &Candidate<'_>) -> Option<Verdict> {
    let at = candidate.text.find(['\n', ESCAPE])?;
    candidate.part(at..candidate.text.len(), DISTINCT)
}

/// The private part of a JSON web key (RFC 7517).
fn web_key(candidate: &Candidate<'_>) -> Option<Verdict> {
    let at = candidate.text.rfind('"')? + 1;
    let is_key = candidate.before.contains("\"kty\"") || candidate.before.contains("\"crv\"");
    is_key.then(|| candidate.part(at..candidate.text.len(), DISTINCT - 0.05))?
}

/// A signed or encrypted JSON web token (RFC 7519): its header names an algorithm.
fn web_token(candidate: &Candidate<'_>) -> Option<Verdict> {
    let text = candidate.text.trim_end_matches(['.', '=', '-', '_']);
    let mut parts = text.split('.');
    let header = check::from_base64(parts.next()?)?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    let header = header.as_object()?;
    if !["alg", "typ", "enc"]
        .iter()
        .any(|key| header.contains_key(*key))
    {
        return None;
    }
    let payload = parts.next().filter(|payload| payload.len() >= 4)?;
    let score = match (parts.next(), check::is_stand_in(payload)) {
        (Some(signature), false) if signature.len() >= 16 => CERTAIN,
        // Not signed, or cut off.
        _ => 0.6,
    };
    candidate.part(0..text.len(), score)
}

fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=')
}

#[cfg(test)]
mod tests {
    use super::super::tests::{found, likely};

    fn own_key(prefix: &str) -> String {
        let text = format!("{prefix}{}", "0123456789abcdef".repeat(4));
        format!("{text}{:08x}", crc32fast::hash(text.as_bytes()))
    }

    #[test]
    fn our_own_keys_are_known_by_their_checksum() {
        for prefix in ["sk-mllm-", "sk-mllm-admin-"] {
            let key = own_key(prefix);
            let text = format!("curl -H 'Authorization: Bearer {key}'");
            assert_eq!(likely(&text)[0], ("microllm_key", key.clone()));
            let other = key.replace("0123", "0124");
            let scores = found(&other);
            assert!(
                scores
                    .iter()
                    .all(|one| one.0 != "microllm_key" || one.1 < 0.5)
            );
        }
    }

    #[test]
    fn private_keys_are_found_to_their_end_and_no_further() {
        let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKB\n";
        let text = format!(
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n{}-----END RSA PRIVATE KEY-----\nThat is it.",
            line.repeat(20)
        );
        let found = likely(&text);
        assert_eq!(found[0].0, "private_key");
        assert!(found[0].1.len() > 20 * line.len() && !found[0].1.contains("END"));
        let escaped = text.replace('\n', "\\n");
        assert_eq!(likely(&escaped)[0].0, "private_key");
        // -----BEGIN PRIVATE KEY-----, and a certificate.
        let encoded = "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1JSUV2UUlCQURBTkJna3Foa2lHOXcw";
        assert_eq!(likely(encoded)[0].0, "private_key");
        assert!(likely(&encoded.replace("BQUklWQVRFIEtFWS", "DRVJUSUZJQ0FURS0")).is_empty());
        assert!(likely("if line == \"-----BEGIN PRIVATE KEY-----\": start = True").is_empty());
    }

    #[test]
    fn web_tokens_have_a_header() {
        let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI0MiJ9.TJVA95OrM7E2cBab30RMHrHDcEfxjoYZgeFONFh7HgQ";
        let text = format!("use {token}.");
        assert_eq!(likely(&text)[0], ("jwt", token.to_owned()));
        assert!(likely("eyJub3RoaW5nIjoxfQ.eyJzdWIiOiI0MiJ9.TJVA95OrM7E2cBab").is_empty());
    }
}
