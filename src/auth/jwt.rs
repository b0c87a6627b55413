//! Access tokens: JSON Web Tokens of the type RFC 9068 calls `at+jwt`, signed by this server for
//! itself.

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
};
use serde::{Deserialize, Serialize};

use super::{Redacted, Secrets, SigningKey};

const TYPE: &str = "at+jwt";
const ISSUER: &str = "microllm";
const AUDIENCE: &str = "microllm";
/// Seconds that clocks of machines which share the signing keys may differ.
const LEEWAY: i64 = 5;
/// No token of ours lives longer, in seconds: the configuration allows no more.
const LONGEST_LIFE: i64 = 3600;
/// No token of ours is longer, in bytes.
const LONGEST: usize = 1024;

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    /// The person.
    sub: String,
    /// The session: it decides whether the token still counts.
    sid: String,
    /// Unix seconds, as all that follow.
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// Whose a verified token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub user_id: String,
    pub session_id: String,
}

/// Why a token does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// It is one of ours, and its time is over.
    Expired,
    /// Anything else: whoever sends such a token is not told what is wrong with it.
    Invalid,
}

/// Whether this looks like a token and not like an API key, which has no dots.
pub fn is_token(presented: &str) -> bool {
    presented.contains('.')
}

/// A token of a session, valid for so many seconds from now on.
///
/// # Errors
/// When there is no key to sign with, which [`Secrets::load`] refuses.
pub fn sign(
    secrets: &Secrets,
    subject: Subject,
    now: i64,
    seconds: i64,
) -> Result<Redacted, TokenError> {
    let keys = secrets.signing();
    let key = keys.first().ok_or(TokenError::Invalid)?;
    let claims = Claims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: subject.user_id,
        sid: subject.session_id,
        iat: now,
        nbf: now,
        exp: now.saturating_add(seconds),
    };
    let signed = encode(
        &header(key),
        &claims,
        &EncodingKey::from_secret(&key.bytes.0),
    );
    signed.map(Redacted::new).map_err(|_| TokenError::Invalid)
}

/// Whose token this is. Whether their session is still there is another question.
///
/// # Errors
/// [`TokenError`] for anything but a token that [`sign`] made and whose time is now.
pub fn verify(secrets: &Secrets, presented: &str, now: i64) -> Result<Subject, TokenError> {
    if presented.len() > LONGEST {
        return Err(TokenError::Invalid);
    }
    let given = decode_header(presented).map_err(|_| TokenError::Invalid)?;
    let keys = secrets.signing();
    // The whole header must be the one that we write: no other algorithm or type, no key of
    // the token's own choosing (`jwk`, `jku`, `x5u`), nothing `crit`ical that we do not know.
    let key = keys.iter().find(|key| header(key) == given);
    let key = key.ok_or(TokenError::Invalid)?;
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    // Times are checked below, against the server's one clock.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    let decoding = DecodingKey::from_secret(&key.bytes.0);
    let token = decode::<Claims>(presented, &decoding, &validation);
    let claims = token.map_err(|_| TokenError::Invalid)?.claims;
    let is_early =
        claims.nbf > now.saturating_add(LEEWAY) || claims.iat > now.saturating_add(LEEWAY);
    // Whoever got hold of a retired key must not be able to go on signing with it.
    let is_forged = key.retired_at.is_some_and(|at| {
        claims.iat > at.saturating_add(LEEWAY) || now > at.saturating_add(LONGEST_LIFE)
    });
    let is_long = claims.exp.saturating_sub(claims.iat) > LONGEST_LIFE;
    if is_early || is_forged || is_long {
        return Err(TokenError::Invalid);
    }
    if claims.exp <= now {
        return Err(TokenError::Expired);
    }
    Ok(Subject {
        user_id: claims.sub,
        session_id: claims.sid,
    })
}

fn header(key: &SigningKey) -> Header {
    Header {
        typ: Some(TYPE.to_owned()),
        kid: Some(key.id.clone()),
        ..Header::new(Algorithm::HS256)
    }
}

#[cfg(test)]
mod tests;
