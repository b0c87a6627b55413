//! Tokens that somebody made up, bent or kept too long. None is let in, on no kind of route.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::harness::Server;
use crate::identity::Person;

/// The parts of a good token, to be bent.
struct Forge {
    header: Value,
    claims: Value,
    key: Vec<u8>,
    good: String,
}

impl Forge {
    fn of(server: &Server, token: &str) -> Self {
        let part = |i: usize| -> Value {
            let text = token.split('.').nth(i).expect("a part");
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64");
            serde_json::from_slice(&bytes).expect("json")
        };
        Self {
            header: part(0),
            claims: part(1),
            key: server.app.secrets.signing()[0].bytes.0.clone(),
            good: token.to_owned(),
        }
    }

    /// With this header and these claims, rightly signed by the server's own key.
    fn signed(&self, header: &Value, claims: &Value) -> String {
        self.signed_with(header, claims, &self.key)
    }

    fn signed_with(&self, header: &Value, claims: &Value, key: &[u8]) -> String {
        let message = format!("{}.{}", encoded(header), encoded(claims));
        let key = EncodingKey::from_secret(key);
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256);
        format!("{message}.{}", signature.expect("a signature"))
    }

    fn with_header(&self, more: Value) -> String {
        self.signed(&merged(&self.header, more), &self.claims)
    }

    fn with_claims(&self, more: Value) -> String {
        self.signed(&self.header, &merged(&self.claims, more))
    }

    fn without_claim(&self, name: &str) -> String {
        let mut claims = self.claims.clone();
        claims.as_object_mut().expect("an object").remove(name);
        self.signed(&self.header, &claims)
    }

    fn unsigned(&self, algorithm: &str, signature: &str) -> String {
        let header = merged(&self.header, json!({ "alg": algorithm }));
        format!("{}.{}.{signature}", encoded(&header), encoded(&self.claims))
    }
}

fn merged(base: &Value, more: Value) -> Value {
    crate::harness::with(base.clone(), more)
}

fn encoded(value: &Value) -> String {
    base64(value.to_string().as_bytes())
}

fn base64(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_forged_token_is_let_in() {
    let server = Server::start().await;
    let owner = Person::administrator(&server).await;
    let other = Server::start().await;
    let elsewhere = Person::administrator(&other).await;
    let forge = Forge::of(&server, &owner.access);
    let now = server.app.clock.now_secs();
    let parts: Vec<&str> = forge.good.split('.').collect();
    let [head, body, signature] = parts[..] else {
        panic!("three parts");
    };
    let reordered = json!({"alg": "none", "typ": "at+jwt", "kid": forge.header["kid"]});
    let jwk = json!({"kty": "oct", "k": base64(&[0; 32])});
    let flipped = |text: &str| -> String {
        let first = if text.starts_with('A') { "B" } else { "A" };
        format!("{first}{}", &text[1..])
    };
    let raised = encoded(&merged(&forge.claims, json!({"sub": "user-somebody"})));
    let rs = Header {
        kid: forge.header["kid"].as_str().map(str::to_owned),
        typ: Some("at+jwt".into()),
        ..Header::new(Algorithm::HS384)
    };
    let hs384 = encode(&rs, &forge.claims, &EncodingKey::from_secret(&forge.key));
    let hs512 = Header {
        alg: Algorithm::HS512,
        ..rs.clone()
    };
    let hs512 = encode(&hs512, &forge.claims, &EncodingKey::from_secret(&forge.key));
    let zeros = "0".repeat(64);

    let attacks: Vec<(&str, String)> = vec![
        ("alg none, signed", forge.unsigned("none", signature)),
        ("alg none, no signature", forge.unsigned("none", "")),
        ("alg None", forge.unsigned("None", "")),
        ("alg NONE", forge.unsigned("NONE", "")),
        ("alg nOnE", forge.unsigned("nOnE", "")),
        ("alg empty", forge.unsigned("", "")),
        (
            "alg none, signed rightly",
            forge.signed(&reordered, &forge.claims),
        ),
        ("alg missing", {
            let header = json!({"typ": "at+jwt", "kid": forge.header["kid"]});
            forge.signed(&header, &forge.claims)
        }),
        ("alg HS384", hs384.expect("a token")),
        ("alg HS512", hs512.expect("a token")),
        (
            "alg RS256 over HMAC",
            forge.with_header(json!({"alg": "RS256"})),
        ),
        (
            "alg PS256 over HMAC",
            forge.with_header(json!({"alg": "PS256"})),
        ),
        (
            "alg ES256 over HMAC",
            forge.with_header(json!({"alg": "ES256"})),
        ),
        (
            "alg EdDSA over HMAC",
            forge.with_header(json!({"alg": "EdDSA"})),
        ),
        ("alg hs256", forge.with_header(json!({"alg": "hs256"}))),
        (
            "kid of nothing",
            forge.with_header(json!({"kid": "sig_00000000"})),
        ),
        ("kid missing", {
            let header = json!({"alg": "HS256", "typ": "at+jwt"});
            forge.signed(&header, &forge.claims)
        }),
        ("kid empty", forge.with_header(json!({"kid": ""}))),
        ("kid null", forge.with_header(json!({"kid": null}))),
        ("kid a number", forge.with_header(json!({"kid": 1}))),
        (
            "kid a list",
            forge.with_header(json!({"kid": [forge.header["kid"]]})),
        ),
        ("kid a path, empty key", {
            let header = merged(&forge.header, json!({"kid": "../../../../dev/null"}));
            forge.signed_with(&header, &forge.claims, b"")
        }),
        (
            "kid a path",
            forge.with_header(json!({"kid": "/proc/self/environ"})),
        ),
        ("kid SQL", {
            let header = merged(&forge.header, json!({"kid": "x' UNION SELECT 'key' --"}));
            forge.signed_with(&header, &forge.claims, b"key")
        }),
        (
            "kid with a NUL",
            forge.with_header(json!({"kid": "sig\u{0}"})),
        ),
        ("jwk of the attacker's", {
            let header = merged(&forge.header, json!({"jwk": jwk}));
            forge.signed_with(&header, &forge.claims, &[0; 32])
        }),
        (
            "jwk beside a right signature",
            forge.with_header(json!({"jwk": jwk})),
        ),
        (
            "jku",
            forge.with_header(json!({"jku": "https://attacker.example/jwks.json"})),
        ),
        (
            "x5u",
            forge.with_header(json!({"x5u": "https://attacker.example/cert"})),
        ),
        ("x5c", forge.with_header(json!({"x5c": ["MIIB"]}))),
        ("crit", forge.with_header(json!({"crit": ["exp"]}))),
        ("crit of nothing", forge.with_header(json!({"crit": []}))),
        (
            "b64 false",
            forge.with_header(json!({"b64": false, "crit": ["b64"]})),
        ),
        ("zip", forge.with_header(json!({"zip": "DEF"}))),
        ("typ JWT", forge.with_header(json!({"typ": "JWT"}))),
        (
            "typ of a refresh token",
            forge.with_header(json!({"typ": "rt+jwt"})),
        ),
        ("typ missing", {
            let header = json!({"alg": "HS256", "kid": forge.header["kid"]});
            forge.signed(&header, &forge.claims)
        }),
        ("cty", forge.with_header(json!({"cty": "JWT"}))),
        ("exp missing", forge.without_claim("exp")),
        ("nbf missing", forge.without_claim("nbf")),
        ("iat missing", forge.without_claim("iat")),
        ("iss missing", forge.without_claim("iss")),
        ("aud missing", forge.without_claim("aud")),
        ("sub missing", forge.without_claim("sub")),
        ("sid missing", forge.without_claim("sid")),
        ("expired", forge.with_claims(json!({"exp": now - 1}))),
        (
            "expired long ago",
            forge.with_claims(json!({"iat": 1, "nbf": 1, "exp": 2})),
        ),
        ("exp now", forge.with_claims(json!({"exp": now}))),
        (
            "exp a text",
            forge.with_claims(json!({"exp": "9999999999"})),
        ),
        ("exp negative", forge.with_claims(json!({"exp": -1}))),
        (
            "exp a fraction",
            forge.with_claims(json!({"exp": 9999999999.5})),
        ),
        ("exp too large", forge.with_claims(json!({"exp": 1e300}))),
        (
            "not yet",
            forge.with_claims(json!({"nbf": now + 3600, "exp": now + 7200})),
        ),
        (
            "from the future",
            forge.with_claims(json!({"iat": now + 3600})),
        ),
        (
            "iss of another",
            forge.with_claims(json!({"iss": "https://attacker.example"})),
        ),
        (
            "iss a list",
            forge.with_claims(json!({"iss": ["microllm"]})),
        ),
        ("aud of another", forge.with_claims(json!({"aud": "other"}))),
        ("aud empty", forge.with_claims(json!({"aud": []}))),
        (
            "another's sub",
            forge.with_claims(json!({"sub": "user-somebody"})),
        ),
        ("sub null", forge.with_claims(json!({"sub": null}))),
        (
            "another's session",
            forge.with_claims(json!({"sid": "sess_00000000"})),
        ),
        ("sid SQL", forge.with_claims(json!({"sid": "' OR 1=1 --"}))),
        (
            "claims of more",
            forge.with_claims(json!({"role": "owner"})),
        ),
        (
            "claims that are a list",
            forge.signed(&forge.header, &json!([1, 2])),
        ),
        (
            "claims that are null",
            forge.signed(&forge.header, &Value::Null),
        ),
        (
            "claims changed, signature kept",
            format!("{head}.{raised}.{signature}"),
        ),
        (
            "another key",
            forge.signed_with(&forge.header, &forge.claims, &[7; 32]),
        ),
        (
            "empty key",
            forge.signed_with(&forge.header, &forge.claims, b""),
        ),
        ("the key in hex", {
            let hex: String = forge.key.iter().map(|b| format!("{b:02x}")).collect();
            forge.signed_with(&forge.header, &forge.claims, hex.as_bytes())
        }),
        ("another server's token", elsewhere.access.clone()),
        ("no signature", format!("{head}.{body}.")),
        ("two parts", format!("{head}.{body}")),
        ("one part and dots", format!("{head}..")),
        ("four parts", format!("{}.{signature}", forge.good)),
        ("five parts", format!("{}.a.b", forge.good)),
        ("only dots", "..".to_owned()),
        ("truncated", forge.good[..forge.good.len() - 1].to_owned()),
        (
            "truncated by much",
            forge.good[..forge.good.len() / 2].to_owned(),
        ),
        ("more at the end", format!("{}A", forge.good)),
        ("padding", format!("{}=", forge.good)),
        (
            "signature changed",
            format!("{head}.{body}.{}", flipped(signature)),
        ),
        ("signature of zeros", format!("{head}.{body}.{zeros}")),
        ("header not base64", format!("!!!!.{body}.{signature}")),
        (
            "header not JSON",
            format!("{}.{body}.{signature}", base64(b"{")),
        ),
        (
            "very long",
            format!("{head}.{}.{signature}", "A".repeat(4000)),
        ),
        ("the refresh token", owner.refresh.clone()),
    ];
    assert!(attacks.len() >= 50, "{}", attacks.len());
    let routes = ["/v1/models", "/v1/organization/users", "/auth/me"];
    for route in routes {
        let url = server.url(route);
        let good = server.client.get(&url).bearer_auth(&forge.good);
        let status = good.send().await.expect("a response").status();
        assert_eq!(status, 200, "the token that they are made of, on {route}");
        for (name, token) in &attacks {
            let sent = server.client.get(&url).bearer_auth(token).send().await;
            let status = sent.expect("a response").status();
            assert_eq!(status, 401, "{name} on {route}");
        }
    }
}
