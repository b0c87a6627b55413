use super::*;
use crate::config::{LoadRule, ModelConfig};

fn with_env(name: &str, value: &str) -> Result<Config, ConfigError> {
    Sources {
        env: HashMap::from([(name.to_owned(), value.to_owned())]),
        ..Sources::default()
    }
    .load()
}

fn with_file(text: &str) -> Result<Config, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let sources = Sources {
        file: Some(file.path().to_owned()),
        ..Sources::default()
    };
    sources.load().map_err(|error| error.to_string())
}

fn keys_of(value: &Value, prefix: &str, keys: &mut Vec<String>) {
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, value)| keys_of(value, &format!("{prefix}.{key}"), keys)),
        _ => keys.push(prefix.to_owned()),
    }
}

#[test]
fn the_default_file_and_the_types_have_the_same_keys() {
    let file: toml::Table = DEFAULTS.parse().unwrap();
    let (mut in_file, mut in_types) = (Vec::new(), Vec::new());
    keys_of(&serde_json::to_value(file).unwrap(), "", &mut in_file);
    let typed = serde_json::to_value(Config::default()).unwrap();
    keys_of(&typed, "", &mut in_types);
    in_file.sort();
    in_types.sort();
    assert_eq!(in_file, in_types);
}

#[test]
fn every_key_of_the_default_file_is_explained() {
    let mut previous = "";
    for line in DEFAULTS.lines() {
        if line.contains(" = ") && !line.starts_with('#') {
            assert!(previous.starts_with('#'), "{line} has no comment above it");
        }
        previous = line;
    }
}

#[test]
fn defaults_are_closed_to_the_outside() {
    let config = Config::default();
    assert!(config.server.listen.starts_with("127.0.0.1:"));
    assert!(config.server.cors_allowed_origins.is_empty());
    assert!(config.data.dir.ends_with("microllm"));
}

#[test]
fn the_command_line_wins_over_the_environment_over_the_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = "[engine]\nmodel = 'file'\nmax_queue = 1\nthreads = 2";
    std::fs::write(file.path(), text).unwrap();
    let env = [
        ("MICROLLM__ENGINE__MODEL", "env"),
        ("MICROLLM__ENGINE__MAX_QUEUE", "7"),
        ("HOME", "/x"),
        ("MICROLLM_OTHER", "1"),
    ];
    let config = Sources {
        file: Some(file.path().to_owned()),
        env: env.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        overrides: vec![("engine.model", "cli".into())],
    }
    .load()
    .unwrap();
    assert_eq!(config.engine.model, "cli");
    assert_eq!(config.engine.max_queue, 7);
    assert_eq!(config.engine.threads, 2);
    assert_eq!(config.engine.prefix_cache_mib, 512);
}

#[test]
fn the_environment_can_set_every_type() {
    let origins = with_env(
        "MICROLLM__SERVER__CORS_ALLOWED_ORIGINS",
        "https://a.example, http://localhost:3000",
    );
    assert_eq!(
        origins.unwrap().server.cors_allowed_origins,
        ["https://a.example", "http://localhost:3000"]
    );
    // Text stays text, whatever it looks like.
    let model = with_env("MICROLLM__ENGINE__MODEL", "123").unwrap();
    assert_eq!(model.engine.model, "123");
    let level = with_env("MICROLLM__LOG__LEVEL", "debug").unwrap();
    assert_eq!(level.log.level, super::super::LogLevel::Debug);
}

#[test]
fn an_unknown_or_wrong_variable_is_refused_with_both_its_names() {
    for (variable, value, key, expected) in [
        ("MICROLLM__FOO__BAR", "1", "foo", "unknown field"),
        ("MICROLLM__SERVER__LISTNE", "1", "server.listne", "`listen`"),
        (
            "MICROLLM__SERVER__MAX_BODY_BYTES",
            "4M",
            "server.max_body_bytes",
            "expected usize",
        ),
        (
            "MICROLLM__SERVER__MAX_BODY_BYTES",
            "5000.5",
            "server.max_body_bytes",
            "expected usize",
        ),
        (
            "MICROLLM__SERVER__LISTEN",
            "nowhere",
            "server.listen",
            "HOST:PORT",
        ),
        (
            "MICROLLM__ENGINE__MAX_QUEUE",
            "-1",
            "engine.max_queue",
            "-1",
        ),
        (
            "MICROLLM__ENGINE__CONTEXT_LENGTH",
            "12",
            "engine.context_length",
            "from 512",
        ),
        ("MICROLLM__LOG__LEVEL", "loud", "log.level", "`info`"),
        (
            "MICROLLM__SERVER__CORS_ALLOWED_ORIGINS",
            "a.example",
            "server.cors_allowed_origins",
            "a.example",
        ),
    ] {
        let error = with_env(variable, value).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{key}: ")), "{error}");
        assert!(error.contains(expected), "{error}");
        assert!(error.contains(variable), "{error}");
    }
}

#[test]
fn an_unknown_or_wrong_key_of_the_file_is_refused_with_its_full_name() {
    for (text, expected) in [
        ("[server]\nlistne = 1", "server.listne: unknown field"),
        ("[sevrer]\nlisten = 'x'", "sevrer: unknown field"),
        ("server = 1", "server: invalid type"),
        (
            "[server]\nmax_body_bytes = 1.5",
            "server.max_body_bytes: invalid type",
        ),
        (
            "[server]\nmax_body_bytes = 1",
            "server.max_body_bytes: must be",
        ),
        (
            "[engine]\nmodel = 1",
            "engine.model: invalid type: integer `1`, expected a string",
        ),
        ("[engine", "is not valid TOML"),
        ("[engine]\nmodel = 'a'\nmodel = 'b'", "is not valid TOML"),
    ] {
        let error = with_file(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn a_missing_file_is_refused() {
    let sources = Sources {
        file: Some("/nonexistent/microllm.toml".into()),
        ..Sources::default()
    };
    let error = sources.load().unwrap_err().to_string();
    assert!(error.contains("/nonexistent/microllm.toml"), "{error}");
}

#[test]
fn a_webhook_is_https_or_on_this_machine() {
    let variable = "MICROLLM__ALERTS__WEBHOOK";
    for fine in [
        "",
        "https://hooks.example.org/x?y=z",
        "http://127.0.0.1:9000/",
        "http://localhost/x",
        "http://[::1]:80",
    ] {
        assert!(with_env(variable, fine).is_ok(), "{fine}");
    }
    for wrong in [
        "hooks.example.org",
        "http://hooks.example.org",
        "http://10.0.0.1/",
        "http://127.0.0.1.example.org/",
        "ftp://localhost/",
        "file:///etc/passwd",
    ] {
        let refused = with_env(variable, wrong).unwrap_err().to_string();
        assert!(refused.contains("alerts.webhook"), "{refused}");
        assert!(!refused.contains(wrong), "it may hold a secret: {refused}");
    }
}

#[test]
fn models_and_aliases_are_checked_against_each_other() {
    let config = with_file(
        "[models.'Qwen3-0.6B']\nload = 'start'\nsampling = { temperature = 0.7, top_k = 20 }\n\
         [models.other]\n\
         [aliases]\n'GPT-4.1-mini' = 'Qwen3-0.6B'\n",
    )
    .expect("a configuration");
    let model = &config.models["Qwen3-0.6B"];
    assert_eq!(model.load, LoadRule::Start);
    assert_eq!(model.sampling.temperature, Some(0.7));
    assert_eq!(model.sampling.top_k, Some(20));
    assert_eq!(config.models["other"], ModelConfig::default());
    assert_eq!(config.aliases["GPT-4.1-mini"], "Qwen3-0.6B");
    for (text, key) in [
        ("[aliases]\na = 'b'\n", "aliases.a"),
        ("[aliases]\na = ''\n", "aliases.a"),
        (
            "[models.a]\n[aliases]\na = 'smollm2-135m-instruct'\n",
            "aliases.a",
        ),
        ("[models.a]\n[aliases]\nb = 'a'\nc = 'b'\n", "aliases.c"),
        ("[models.a]\nload = 'never'\n", "models.a.load"),
        ("[models.a]\nsize = 1\n", "models.a.size"),
        (
            "[models.a]\nsampling = { temperature = 3 }\n",
            "models.a.sampling.temperature",
        ),
        ("[embeddings]\nmodel = 'a'\n[models.a]\n", "models.a"),
        (
            "[engine]\nload_wait_seconds = 601\n",
            "engine.load_wait_seconds",
        ),
    ] {
        let error = with_file(text).expect_err(text);
        assert!(error.starts_with(&format!("{key}: ")), "{text}: {error}");
    }
}
