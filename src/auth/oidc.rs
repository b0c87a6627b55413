//! Access tokens of an outside OpenID Connect issuer.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use moka::sync::Cache;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::identity::SignedIn;
use super::names::LONGEST_NAME;
use super::{AuthError, OrgRole};
use crate::clock::Clock;
use crate::config::OidcConfig;
use crate::records::{Actor, ActorKind};
use crate::store::{Admission, Joined, ProjectRow, Store, StoreError, UserRow};

/// Signatures that a public key verifies; a shared secret would let this server forge tokens, and
/// a public key taken for one lets everybody.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
/// Seconds that the issuer's clock may differ.
const LEEWAY: i64 = 60;
/// In bytes.
const LONGEST_TOKEN: usize = 16 * 1024;
const LARGEST_KEY_SET: usize = 1 << 20;
/// A key that is not known may be new: the issuer is asked at most so often.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// Keys that the issuer has withdrawn are believed this long at most.
const KEYS_LIVE: Duration = Duration::from_secs(600);
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Characters of what is taken from claims.
const LONGEST_SUBJECT: usize = 256;
/// What `amr` (RFC 8176) says of those who signed in with more than a password.
const STRONG_METHODS: [&str; 4] = ["mfa", "otp", "hwk", "swk"];
/// Roles and projects are compared with the database when they change, and so often.
const SYNC_EVERY: Duration = Duration::from_secs(60);
/// A password hash that no password has.
const NO_PASSWORD: &str = "!";

/// An issuer that is believed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Oidc {
    config: OidcConfig,
    source: Source,
    keys: Arc<RwLock<Option<Keys>>>,
    /// When the issuer was last asked; held while it is being asked.
    asked: Arc<Mutex<Option<Instant>>>,
    /// What of each person was last written to the database, and when that token was issued.
    synced: Cache<String, (i64, Wanted)>,
}

#[derive(Debug, Clone)]
enum Source {
    File(PathBuf),
    Url(String),
}

#[derive(Debug)]
struct Keys {
    set: JwkSet,
    read: Instant,
}

/// What a verified token says of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The issuer and its name for them: unique among all issuers.
    pub subject: String,
    pub email: Option<String>,
    pub name: String,
    second_factor: bool,
    /// Unix seconds.
    issued_at: i64,
    wanted: Wanted,
}

/// What somebody is to be here; none: not the issuer's business.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Wanted {
    role: Option<OrgRole>,
    projects: Option<Vec<String>>,
}

impl Oidc {
    /// None when no issuer is configured.
    pub fn new(config: &OidcConfig) -> Option<Self> {
        if config.issuer.is_empty() {
            return None;
        }
        let source = if config.jwks.starts_with("https://") {
            Source::Url(config.jwks.clone())
        } else {
            Source::File(PathBuf::from(&config.jwks))
        };
        Some(Self {
            config: config.clone(),
            source,
            keys: Arc::default(),
            asked: Arc::default(),
            synced: Cache::builder()
                .max_capacity(10_000)
                .time_to_live(SYNC_EVERY)
                .build(),
        })
    }

    /// What a token says, if the issuer signed it for this server and its time is now.
    ///
    /// # Errors
    /// [`AuthError::InvalidKey`], or [`AuthError::Expired`] for what was a token.
    pub async fn verify(&self, presented: &str, now: i64) -> Result<Claims, AuthError> {
        if presented.len() > LONGEST_TOKEN {
            return Err(AuthError::InvalidKey);
        }
        let header = decode_header(presented).map_err(|_| AuthError::InvalidKey)?;
        if !is_plain(&header) {
            return Err(AuthError::InvalidKey);
        }
        let key = self.key(&header).await.ok_or(AuthError::InvalidKey)?;
        let mut validation = Validation::new(header.alg);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_audience(&[&self.config.audience]);
        // Times are checked below, against the server's one clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let token = decode::<Map<String, Value>>(presented, &key, &validation);
        let claims = token.map_err(|_| AuthError::InvalidKey)?.claims;
        let time = |name| match claims.get(name) {
            None => Ok(None),
            // Some issuers write fractions.
            Some(value) => value
                .as_f64()
                .map(|t| Some(t as i64))
                .ok_or(AuthError::InvalidKey),
        };
        let latest = now.saturating_add(LEEWAY);
        if time("nbf")?.is_some_and(|at| at > latest) || time("iat")?.is_some_and(|at| at > latest)
        {
            return Err(AuthError::InvalidKey);
        }
        let issued_at = match time("iat")? {
            Some(at) => at,
            // Nobody could tell an old role from a new one.
            None if self.decides() => return Err(AuthError::InvalidKey),
            None => now,
        };
        if time("exp")?.ok_or(AuthError::InvalidKey)? <= now.saturating_sub(LEEWAY) {
            return Err(AuthError::Expired);
        }
        self.read(&claims, issued_at)
    }

    /// Whether tokens say what somebody is to be here.
    fn decides(&self) -> bool {
        !self.config.role_claim.is_empty() || !self.config.projects_claim.is_empty()
    }

    /// The person of a token, made or brought up to date as the token says.
    ///
    /// # Errors
    /// [`AuthError::Forbidden`] for somebody new whose token lacks an address, or whose address is
    /// another's, and for somebody removed; [`AuthError::InvalidKey`] for somebody disabled.
    pub async fn person(
        &self,
        store: &Store,
        clock: &Clock,
        claims: Claims,
        from: Actor,
        own_project: impl FnOnce() -> ProjectRow,
    ) -> Result<SignedIn, AuthError> {
        let known = store.person_of_subject(&claims.subject).await;
        let user_id = match known.map_err(unavailable)? {
            Some(user_id) => user_id,
            None => {
                self.admit(store, clock, &claims, &from, own_project)
                    .await?
            }
        };
        let actor = Actor {
            kind: ActorKind::Session,
            id: None,
            user_id: Some(user_id.clone()),
            ..from
        };
        let live = async || {
            let person = store.live_person(&user_id, claims.second_factor).await;
            person.map_err(unavailable)?.ok_or(AuthError::InvalidKey)
        };
        let mut person = live().await?;
        if self.is_news(&user_id, &claims) {
            let Wanted { role, projects } = &claims.wanted;
            let (issued_at, projects) = (claims.issued_at, projects.as_deref());
            let synced = store.sync_person(&user_id, issued_at, *role, projects, &actor);
            synced.await.map_err(unavailable)?;
            let told = (issued_at, claims.wanted.clone());
            self.synced.insert(user_id.clone(), told);
            person = live().await?;
        }
        Ok(SignedIn { person, actor })
    }

    /// Whether a token says something that the database may not know yet.
    fn is_news(&self, user_id: &str, claims: &Claims) -> bool {
        let is_any = claims.wanted.role.is_some() || claims.wanted.projects.is_some();
        let told = self.synced.get(user_id);
        is_any
            && told.is_none_or(|(issued_at, wanted)| {
                claims.issued_at >= issued_at && claims.wanted != wanted
            })
    }

    async fn admit(
        &self,
        store: &Store,
        clock: &Clock,
        claims: &Claims,
        from: &Actor,
        own_project: impl FnOnce() -> ProjectRow,
    ) -> Result<String, AuthError> {
        let email = claims.email.clone().ok_or(AuthError::Forbidden(
            "Your token does not say your e-mail address, or that it is not verified.",
        ))?;
        let user = UserRow {
            id: clock.id("user-"),
            email,
            password_hash: NO_PASSWORD.to_owned(),
            role: claims.wanted.role.unwrap_or(OrgRole::Reader),
            created_at: clock.now_secs(),
        };
        let by = Actor {
            user_id: Some(user.id.clone()),
            ..from.clone()
        };
        let admission = Admission::Issuer {
            subject: claims.subject.clone(),
            projects: claims.wanted.projects.clone().unwrap_or_default(),
        };
        // Where the issuer says which projects somebody is in, they have no others.
        let own = claims.wanted.projects.is_none().then(own_project);
        let joined = store.join(&user, &claims.name, &admission, own.as_ref(), &by);
        match joined.await.map_err(unavailable)? {
            Joined::Done => return Ok(user.id),
            Joined::Removed => {
                return Err(AuthError::Forbidden(
                    "Your account on this server was removed.",
                ));
            }
            Joined::Taken | Joined::NotInvited => {}
        }
        // Two first requests at once, or somebody else's address: whoever registered with it
        // themselves need not be its owner, so the accounts are not joined.
        let known = store.person_of_subject(&claims.subject).await;
        known.map_err(unavailable)?.ok_or(AuthError::Forbidden(
            "There is an account with your e-mail address that is not your issuer's: ask whoever \
             administers this server to remove it.",
        ))
    }

    fn read(&self, claims: &Map<String, Value>, issued_at: i64) -> Result<Claims, AuthError> {
        let config = &self.config;
        let text = |name: &str, most: usize| {
            let text = claims.get(name).and_then(Value::as_str)?.trim();
            let is_fine = !text.is_empty()
                && text.chars().count() <= most
                && !text.chars().any(char::is_control);
            is_fine.then(|| text.to_owned())
        };
        let subject = text(&config.subject_claim, LONGEST_SUBJECT).ok_or(AuthError::InvalidKey)?;
        // Where people choose their address themselves, it is anybody's.
        let verified = claims.get(&config.email_verified_claim);
        let is_verified = config.email_verified_claim.is_empty()
            || verified == Some(&Value::Bool(true))
            || verified.and_then(Value::as_str) == Some("true");
        let email = text(&config.email_claim, 254).filter(|email| {
            is_verified && email.contains('@') && !email.contains(char::is_whitespace)
        });
        let list = |name: &str| (!name.is_empty()).then(|| texts(claims.get(name)));
        let is_owner = |role: &String| config.owner_roles.contains(role);
        let role = list(&config.role_claim).map(|roles| {
            if roles.iter().any(is_owner) {
                OrgRole::Owner
            } else {
                OrgRole::Reader
            }
        });
        let methods = texts(claims.get("amr"));
        Ok(Claims {
            subject: format!("{}|{subject}", config.issuer),
            email,
            name: text(&config.name_claim, LONGEST_NAME).unwrap_or_default(),
            second_factor: methods
                .iter()
                .any(|method| STRONG_METHODS.contains(&method.as_str())),
            issued_at,
            wanted: Wanted {
                role,
                projects: list(&config.projects_claim),
            },
        })
    }

    /// The key that a header names; asks the issuer when it is not known, or what is known is old.
    /// Whoever has a known key does not wait for that.
    async fn key(&self, header: &Header) -> Option<DecodingKey> {
        if let Some(key) = self.known(header) {
            return Some(key);
        }
        let mut asked = self.asked.lock().await;
        // Another request may have asked meanwhile.
        if let Some(key) = self.known(header) {
            return Some(key);
        }
        if asked.is_none_or(|at| at.elapsed() >= ASK_EVERY) {
            *asked = Some(Instant::now());
            match self.source.read().await {
                Ok(set) => {
                    let read = Instant::now();
                    let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
                    *keys = Some(Keys { set, read });
                }
                Err(error) => tracing::error!(error, "the issuer's keys cannot be read"),
            }
        }
        self.known(header)
    }

    fn known(&self, header: &Header) -> Option<DecodingKey> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let keys = keys
            .as_ref()
            .filter(|keys| keys.read.elapsed() < KEYS_LIVE)?;
        find(&keys.set, header)
    }
}

impl Source {
    async fn read(&self) -> Result<JwkSet, String> {
        let bytes = match self {
            Self::File(path) => tokio::fs::read(path).await.map_err(|e| e.to_string())?,
            Self::Url(url) => fetch(url).await.map_err(|e| e.to_string())?,
        };
        serde_json::from_slice(&bytes).map_err(|error| error.to_string())
    }
}

/// No redirect is followed: the address is the configuration's, not the issuer's to choose.
async fn fetch(url: &str) -> reqwest::Result<Vec<u8>> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .https_only(true)
        .timeout(ASK_TIMEOUT)
        .build()?;
    let mut response = client.get(url).send().await?.error_for_status()?;
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > LARGEST_KEY_SET {
            break;
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Whether a header is of an allowed kind and brings no key of its own.
fn is_plain(header: &Header) -> bool {
    let Header {
        typ,
        alg,
        jku,
        jwk,
        x5u,
        x5c,
        crit,
        enc,
        zip,
        ..
    } = header;
    let types = ["jwt", "at+jwt", "application/at+jwt"];
    let is_type = |typ: &String| types.contains(&typ.to_ascii_lowercase().as_str());
    ALGORITHMS.contains(alg)
        && typ.as_ref().is_none_or(is_type)
        && (jku.is_none() && jwk.is_none() && x5u.is_none() && x5c.is_none())
        && (crit.is_none() && enc.is_none() && zip.is_none())
}

fn find(set: &JwkSet, header: &Header) -> Option<DecodingKey> {
    let fits = |key: &&Jwk| {
        let is_asymmetric = matches!(
            key.algorithm,
            AlgorithmParameters::RSA(_)
                | AlgorithmParameters::EllipticCurve(_)
                | AlgorithmParameters::OctetKeyPair(_)
        );
        let common = &key.common;
        let is_for_signatures = common
            .public_key_use
            .as_ref()
            .is_none_or(|purpose| *purpose == PublicKeyUse::Signature);
        let algorithm = common.key_algorithm.map(|algorithm| algorithm.to_string());
        let is_for_this = algorithm.is_none_or(|name| name == format!("{:?}", header.alg));
        is_asymmetric && is_for_signatures && is_for_this
    };
    let mut fitting = set.keys.iter().filter(fits);
    let key = match &header.kid {
        Some(kid) => fitting.find(|key| key.common.key_id.as_ref() == Some(kid))?,
        // Without a name only a set of one key leaves no choice.
        None => fitting.next().filter(|_| set.keys.len() == 1)?,
    };
    DecodingKey::from_jwk(key).ok()
}

/// A text or a list of texts.
fn texts(value: Option<&Value>) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut all: Vec<String> = match value {
        Some(Value::Array(values)) => values.iter().filter_map(text).collect(),
        Some(value) => text(value).into_iter().collect(),
        None => Vec::new(),
    };
    all.sort_unstable();
    all.dedup();
    all
}

fn unavailable(error: StoreError) -> AuthError {
    AuthError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests;
