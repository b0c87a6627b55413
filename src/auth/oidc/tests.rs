use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, encode};
use serde_json::json;
use sqlx::Connection;

use super::*;
use crate::config::Config;

const NOW: i64 = 1_700_000_000;
const ISSUER: &str = "https://id.example.org";

/// An issuer with a key of each kind, and a server that believes it.
struct Issuer {
    ec: EncodingKey,
    ed: EncodingKey,
    rsa: EncodingKey,
    rsa_public: Vec<u8>,
    oidc: Oidc,
    dir: tempfile::TempDir,
}

fn base64(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn issuer(change: impl FnOnce(&mut OidcConfig)) -> Issuer {
    let dir = tempfile::tempdir().unwrap();
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = ec.public_key().as_ref();
    let ed = Ed25519KeyPair::generate().unwrap();
    let rsa = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
    let modulus = rsa.public_key().modulus().big_endian_without_leading_zero();
    let set = json!({"keys": [
        {"kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "alg": "ES256",
         "x": base64(&point[1..33]), "y": base64(&point[33..])},
        {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": base64(ed.public_key().as_ref())},
        {"kty": "RSA", "kid": "rsa", "use": "sig", "n": base64(modulus), "e": "AQAB"},
        {"kty": "RSA", "kid": "enc", "use": "enc", "n": base64(modulus), "e": "AQAB"},
        {"kty": "oct", "kid": "oct", "k": base64(b"a secret that is a public key here")},
    ]});
    let path = dir.path().join("jwks.json");
    std::fs::write(&path, set.to_string()).unwrap();
    let mut config = Config::default().auth.oidc;
    config.issuer = ISSUER.to_owned();
    config.audience = "microllm".to_owned();
    config.jwks = path.display().to_string();
    change(&mut config);
    let der = |pkcs8: &[u8]| pkcs8.to_vec();
    Issuer {
        ec: EncodingKey::from_ec_der(&der(ec.to_pkcs8v1().unwrap().as_ref())),
        ed: EncodingKey::from_ed_der(&der(ed.to_pkcs8().unwrap().as_ref())),
        rsa: EncodingKey::from_rsa_pem(pem(rsa.as_der().unwrap().as_ref()).as_bytes()).unwrap(),
        rsa_public: rsa.public_key().as_ref().to_vec(),
        oidc: Oidc::new(&config).unwrap(),
        dir,
    }
}

fn pem(pkcs8: &[u8]) -> String {
    let text = base64::prelude::BASE64_STANDARD.encode(pkcs8);
    format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": ["microllm", "other"], "sub": "ada", "exp": NOW + 300, "iat": NOW,
        "email": "ada@example.org", "email_verified": true, "name": "Ada", "groups": ["staff", "llm-admins"],
        "projects": ["proj_a", "proj_b"],
    })
}

fn with(more: Value) -> Value {
    let mut claims = claims();
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn header(algorithm: Algorithm, kid: &str) -> Header {
    Header {
        kid: Some(kid.to_owned()),
        ..Header::new(algorithm)
    }
}

#[tokio::test]
async fn tokens_of_each_kind_of_key_are_read() {
    let issuer = issuer(|config| {
        config.role_claim = "groups".into();
        config.owner_roles = vec!["llm-admins".into()];
        config.projects_claim = "projects".into();
    });
    for (algorithm, kid, key) in [
        (Algorithm::ES256, "ec", &issuer.ec),
        (Algorithm::EdDSA, "ed", &issuer.ed),
        (Algorithm::RS256, "rsa", &issuer.rsa),
        (Algorithm::PS384, "rsa", &issuer.rsa),
    ] {
        let token = encode(&header(algorithm, kid), &claims(), key).unwrap();
        let read = issuer.oidc.verify(&token, NOW).await.unwrap();
        assert_eq!(read.subject, "https://id.example.org|ada");
        assert_eq!(read.email.as_deref(), Some("ada@example.org"));
        assert_eq!(read.wanted.role, Some(OrgRole::Owner));
        let projects = ["proj_a".to_owned(), "proj_b".to_owned()];
        assert_eq!(read.wanted.projects.as_deref(), Some(&projects[..]));
    }
}

#[tokio::test]
async fn no_forged_token_is_believed() {
    let issuer = issuer(|_| {});
    let (ec, rsa) = (&issuer.ec, &issuer.rsa);
    let es = |claims: Value| encode(&header(Algorithm::ES256, "ec"), &claims, ec).unwrap();
    let without = |name: &str| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        es(claims)
    };
    let hmac = |kid: &str, key: &[u8]| {
        let key = EncodingKey::from_secret(key);
        encode(&header(Algorithm::HS256, kid), &claims(), &key).unwrap()
    };
    let bent = |change: fn(&mut Header)| {
        let mut header = header(Algorithm::ES256, "ec");
        change(&mut header);
        encode(&header, &claims(), ec).unwrap()
    };
    let stranger = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let stranger = EncodingKey::from_ec_der(stranger.to_pkcs8v1().unwrap().as_ref());
    let good = es(claims());
    let parts: Vec<&str> = good.split('.').collect();
    let none = base64(br#"{"alg":"none","kid":"ec"}"#);
    let attacks = [
        (
            "HMAC with the RSA key's bytes",
            hmac("rsa", &issuer.rsa_public),
        ),
        (
            "HMAC with the RSA key's PEM",
            hmac("rsa", pem(&issuer.rsa_public).as_bytes()),
        ),
        (
            "HMAC with the set's shared key",
            hmac("oct", b"a secret that is a public key here"),
        ),
        ("none", format!("{none}.{}.", parts[1])),
        ("none, signed", format!("{none}.{}.{}", parts[1], parts[2])),
        (
            "another's key",
            encode(&header(Algorithm::ES256, "ec"), &claims(), &stranger).unwrap(),
        ),
        (
            "a key for encryption",
            encode(&header(Algorithm::RS256, "enc"), &claims(), rsa).unwrap(),
        ),
        (
            "an unknown key",
            encode(&header(Algorithm::ES256, "x"), &claims(), ec).unwrap(),
        ),
        (
            "a kid that is a path",
            encode(&header(Algorithm::ES256, "../ec"), &claims(), ec).unwrap(),
        ),
        ("no kid, several keys", bent(|h| h.kid = None)),
        (
            "jku",
            bent(|h| h.jku = Some("https://attacker.example".into())),
        ),
        (
            "x5u",
            bent(|h| h.x5u = Some("https://attacker.example".into())),
        ),
        ("x5c", bent(|h| h.x5c = Some(vec!["MIIB".into()]))),
        ("crit", bent(|h| h.crit = Some(vec!["exp".into()]))),
        (
            "a refresh token's typ",
            bent(|h| h.typ = Some("rt+jwt".into())),
        ),
        (
            "a logout token",
            bent(|h| h.typ = Some("logout+jwt".into())),
        ),
        (
            "another issuer",
            es(with(json!({"iss": "https://attacker.example"}))),
        ),
        ("for another server", es(with(json!({"aud": "other"})))),
        ("for none", without("aud")),
        ("no issuer", without("iss")),
        ("no end", without("exp")),
        ("an end that is no time", es(with(json!({"exp": "never"})))),
        ("no subject", without("sub")),
        ("an empty subject", es(with(json!({"sub": " "})))),
        (
            "a subject with a line break",
            es(with(json!({"sub": "a\nb"}))),
        ),
        ("over", es(with(json!({"exp": NOW - 61})))),
        ("not yet", es(with(json!({"nbf": NOW + 61})))),
        ("from the future", es(with(json!({"iat": NOW + 61})))),
        ("truncated", good[..good.len() - 2].to_owned()),
        ("too long", format!("{good}{}", "A".repeat(20_000))),
    ];
    assert!(issuer.oidc.verify(&good, NOW).await.is_ok());
    for (name, token) in attacks {
        assert!(issuer.oidc.verify(&token, NOW).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn new_keys_are_found_but_not_asked_for_all_the_time() {
    let issuer = issuer(|_| {});
    let token = encode(&header(Algorithm::ES256, "ec"), &claims(), &issuer.ec).unwrap();
    assert!(issuer.oidc.verify(&token, NOW).await.is_ok());
    // The file is gone: what was read is still known, what was not is not asked for again.
    std::fs::remove_file(issuer.dir.path().join("jwks.json")).unwrap();
    assert!(issuer.oidc.verify(&token, NOW).await.is_ok());
    let unknown = encode(&header(Algorithm::ES256, "new"), &claims(), &issuer.ec).unwrap();
    assert!(issuer.oidc.verify(&unknown, NOW).await.is_err());
    assert!(issuer.oidc.verify(&token, NOW).await.is_ok());
}

#[tokio::test]
async fn people_come_with_their_roles_and_projects_and_leave_with_them() {
    let issuer = issuer(|config| {
        config.role_claim = "groups".into();
        config.owner_roles = vec!["llm-admins".into()];
        config.projects_claim = "projects".into();
    });
    let dir = tempfile::tempdir().unwrap();
    let data = crate::store::DataDir::prepare(dir.path()).unwrap();
    let data = crate::app::Data::open(&data).await.unwrap();
    let clock = Clock::system();
    let passwords = crate::auth::Passwords::new(&Config::default().auth);
    let store = &data.store;
    let first = crate::auth::set_up(store, &data.secrets, &clock, &passwords, "root@example.org");
    let first = first.await.unwrap();
    let project = first.api_key.row.project_id.unwrap();
    let come = async |more: Value| {
        let token = encode(&header(Algorithm::ES256, "ec"), &with(more), &issuer.ec).unwrap();
        let claims = issuer.oidc.verify(&token, NOW).await.unwrap();
        let from = Actor::server(&clock);
        let own = || unreachable!("the issuer says which projects");
        issuer.oidc.person(store, &clock, claims, from, own).await
    };
    let ada = come(json!({"groups": ["staff"], "projects": [project]})).await;
    let ada = ada.unwrap().person;
    assert_eq!(ada.role, OrgRole::Reader);
    let roles = async || store.project_roles(&ada.user_id).await.unwrap();
    assert_eq!(roles().await.len(), 1);
    // Promoted, and out of the project.
    let owner = come(json!({"projects": ["proj_of_nobody"]})).await.unwrap();
    assert_eq!(owner.person.user_id, ada.user_id);
    assert_eq!(owner.person.role, OrgRole::Owner);
    assert!(roles().await.is_empty());
    // A token from before is still good, but not news.
    let before = json!({"groups": ["staff"], "projects": [project], "iat": NOW - 60});
    assert_eq!(come(before).await.unwrap().person.role, OrgRole::Owner);
    assert!(roles().await.is_empty());
    // The last active owner stays one.
    let root = store.person_id("root@example.org").await.unwrap().unwrap();
    let by = Actor::server(&clock);
    let disabled = store.edit_person(&root, &by, |person| person.disabled_at = Some(1));
    disabled.await.unwrap();
    let still = come(json!({"groups": []})).await.unwrap();
    assert_eq!(still.person.role, OrgRole::Owner);
    // Nobody takes over an account by its address, nor comes without one.
    let taken = come(json!({"sub": "eve", "email": "root@example.org"})).await;
    assert!(matches!(taken, Err(AuthError::Forbidden(_))), "{taken:?}");
    for more in [
        json!({"sub": "bob", "email": null}),
        json!({"sub": "bob", "email": "bob@example.org", "email_verified": false}),
        json!({"sub": "bob", "email": "bob@example.org", "email_verified": "false"}),
        json!({"sub": "bob", "email": "bob@example.org", "email_verified": null}),
    ] {
        let refused = come(more).await;
        assert!(
            matches!(refused, Err(AuthError::Forbidden(_))),
            "{refused:?}"
        );
    }
    // Disabled here, whatever the issuer says.
    let by = Actor::server(&clock);
    store
        .edit_person(&root, &by, |person| person.disabled_at = None)
        .await
        .unwrap();
    let disabled = store.edit_person(&ada.user_id, &by, |person| person.disabled_at = Some(1));
    disabled.await.unwrap();
    assert!(matches!(come(json!({})).await, Err(AuthError::InvalidKey)));
    crate::records::verify_audit(store, None).await.unwrap();
}

#[tokio::test]
async fn a_token_that_decides_says_when_it_was_issued() {
    let undated = with(json!({"iat": null}));
    for (role, projects, is_read) in [
        ("", "", true),
        ("groups", "", false),
        ("", "projects", false),
    ] {
        let issuer = issuer(|config| {
            config.role_claim = role.into();
            config.projects_claim = projects.into();
        });
        for dated in [true, false] {
            let mut claims = undated.clone();
            let claims = claims.as_object_mut().unwrap();
            claims.remove("iat");
            if dated {
                claims.insert("iat".into(), NOW.into());
            }
            let token = encode(&header(Algorithm::ES256, "ec"), claims, &issuer.ec).unwrap();
            let read = issuer.oidc.verify(&token, NOW).await;
            assert_eq!(read.is_ok(), dated || is_read, "{role} {projects}");
        }
    }
}

#[tokio::test]
async fn whoever_is_removed_does_not_come_back_with_the_next_token() {
    let issuer = issuer(|_| {});
    let dir = tempfile::tempdir().unwrap();
    let data = crate::store::DataDir::prepare(dir.path()).unwrap();
    let data = crate::app::Data::open(&data).await.unwrap();
    let clock = Clock::system();
    let passwords = crate::auth::Passwords::new(&Config::default().auth);
    let store = &data.store;
    let first = crate::auth::set_up(store, &data.secrets, &clock, &passwords, "root@example.org");
    first.await.unwrap();
    let come = async |more: Value| {
        let token = encode(&header(Algorithm::ES256, "ec"), &with(more), &issuer.ec).unwrap();
        let claims = issuer.oidc.verify(&token, NOW).await.unwrap();
        let own = || ProjectRow {
            id: clock.id("proj_"),
            name: "Own".into(),
            limits: crate::limits::LimitSet::default(),
            guardrail_policy: None,
            data_retention: "organization_default".into(),
            created_at: NOW,
            archived_at: None,
        };
        let from = Actor::server(&clock);
        issuer.oidc.person(store, &clock, claims, from, own).await
    };
    let ada = come(json!({"sub": "ada-7f3c"})).await.unwrap().person;
    let by = Actor::server(&clock);
    let erased = store.erase_person(&ada.user_id, &by, "user.deleted");
    erased.await.unwrap();
    for email in ["ada@example.org", "ada@elsewhere.example"] {
        let again = come(json!({"sub": "ada-7f3c", "email": email})).await;
        assert!(matches!(again, Err(AuthError::Forbidden(_))), "{again:?}");
    }
    assert!(store.person_id("ada@example.org").await.unwrap().is_none());
    // Nothing of what the issuer calls them is left, and others are let in.
    let subjects = sqlx::query_scalar::<_, Option<String>>("SELECT oidc_subject FROM users");
    let url = format!("sqlite:{}", dir.path().join("microllm.db").display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let subjects = subjects.fetch_all(&mut connection).await.unwrap();
    assert!(
        !format!("{subjects:?}").contains("ada-7f3c"),
        "{subjects:?}"
    );
    come(json!({"sub": "bob"})).await.unwrap();
}
