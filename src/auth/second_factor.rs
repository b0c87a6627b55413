//! Codes of authenticator apps (TOTP, RFC 6238), and recovery codes for when the app is lost.

use totp_rs::{Algorithm, Builder, Secret, Totp};

use super::token::random;
use super::{IssueError, Purpose, Redacted, Secrets};

/// What every app expects.
const DIGITS: u8 = 6;
const STEP_SECONDS: u64 = 30;
/// Steps that a clock may be off.
const SKEW: u16 = 1;
const RECOVERY_CODES: usize = 10;
/// Bytes of a recovery code: 80 bits.
const RECOVERY_BYTES: usize = 10;

/// Random bytes that a secret is derived from: the database has these, the secrets file the key.
///
/// # Errors
/// When the operating system has no random bytes to give.
pub fn nonce() -> Result<Vec<u8>, IssueError> {
    Ok(random::<16>()?.to_vec())
}

/// The secret in base 32, for an app, and the address that a QR code of it holds.
pub fn enrolment(secrets: &Secrets, nonce: &[u8], email: &str) -> Option<(Redacted, Redacted)> {
    let secret = Secret::from(bytes(secrets, nonce)).to_base32();
    let account: String = email.chars().filter(|c| *c != ':').collect();
    let mut url = reqwest::Url::parse("otpauth://totp/").ok()?;
    url.set_path(&format!("/MicroLLM:{account}"));
    url.query_pairs_mut()
        .append_pair("secret", &secret)
        .append_pair("issuer", "MicroLLM");
    Some((Redacted::new(secret.to_string()), Redacted::new(url.into())))
}

/// The time step that a code is of, if it is right now.
pub fn step(secrets: &Secrets, nonce: &[u8], code: &Redacted, now: i64) -> Option<i64> {
    let now = u64::try_from(now).ok()?;
    let step = totp(secrets, nonce)?.check(code.expose().trim(), now)?;
    i64::try_from(step).ok()
}

/// Fresh recovery codes and what is stored of them.
///
/// # Errors
/// When the operating system has no random bytes to give.
pub fn recovery_codes(
    secrets: &Secrets,
    user_id: &str,
) -> Result<(Vec<Redacted>, Vec<Vec<u8>>), IssueError> {
    let mut codes = Vec::with_capacity(RECOVERY_CODES);
    let mut digests = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        let text = hex::encode(random::<RECOVERY_BYTES>()?);
        let groups: Vec<&str> = [0..5, 5..10, 10..15, 15..20]
            .into_iter()
            .filter_map(|part| text.get(part))
            .collect();
        let code = Redacted::new(groups.join("-"));
        digests.extend(recovery_digest(secrets, user_id, &code));
        codes.push(code);
    }
    Ok((codes, digests))
}

/// What is stored of a recovery code; none for what cannot be one.
pub fn recovery_digest(secrets: &Secrets, user_id: &str, code: &Redacted) -> Option<Vec<u8>> {
    let text: String = code
        .expose()
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .map(|c| c.to_ascii_lowercase())
        .collect();
    if text.len() != 2 * RECOVERY_BYTES || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let data = format!("recovery:{user_id}:{text}");
    Some(secrets.derive(Purpose::Tokens, data.as_bytes()))
}

fn totp(secrets: &Secrets, nonce: &[u8]) -> Option<Totp> {
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(DIGITS)
        .with_skew(SKEW)
        .with_step_duration(STEP_SECONDS)
        .with_secret(Secret::from(bytes(secrets, nonce)))
        .build()
        .ok()
}

/// As many as the hash's output has, which is what RFC 4226 recommends.
fn bytes(secrets: &Secrets, nonce: &[u8]) -> Vec<u8> {
    let mut bytes = secrets.derive(Purpose::Totp, nonce);
    bytes.truncate(20);
    bytes
}
