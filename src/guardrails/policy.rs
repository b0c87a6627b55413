//! What is done about what is found: data, from `config/guardrails`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::guards::is_kind;
use super::{Action, Direction, Finding, GuardName, Place};

/// The policies that are built in.
const PRESETS: [(&str, &str); 3] = [
    ("off", include_str!("../../config/guardrails/off.toml")),
    (
        "standard",
        include_str!("../../config/guardrails/standard.toml"),
    ),
    (
        "strict",
        include_str!("../../config/guardrails/strict.toml"),
    ),
];
/// What a policy is that does not say what it extends.
const BASE: &str = "standard";

/// A named policy. What its keys mean is said in `config/guardrails/standard.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    pub name: String,
    /// Of everything it says: the first 12 hexadecimal digits of a SHA-256.
    pub digest: String,
    pub rules: Rules,
}

/// What a policy says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    pub description: String,
    pub refusal: String,
    pub on_failure: OnFailure,
    pub injection: Rule,
    pub secrets: Rule,
    pub pii: Rule,
    pub toxicity: Rule,
    pub output: Rule,
    pub leak: Rule,
    pub format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    Block,
    Allow,
}

/// What is done about findings of one guard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub pre_call: Response,
    pub post_call: Response,
    #[serde(default)]
    pub logging_only: bool,
    pub threshold: f32,
    #[serde(default)]
    pub kinds: BTreeMap<String, Exception>,
    /// Of injection only.
    pub indirect_threshold: Option<f32>,
    /// Of injection only.
    pub encoder: Option<UseEncoder>,
    /// Of personal data only.
    pub style: Option<MaskStyle>,
    /// Of output only.
    pub allowed_hosts: Option<Vec<String>>,
    /// Of leak only.
    pub canary: Option<bool>,
}

/// What is done about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    Off,
    Annotate,
    Mask,
    Block,
}

/// Where one kind of finding is treated in another way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    pub pre_call: Option<Response>,
    pub post_call: Option<Response>,
    pub threshold: Option<f32>,
}

/// Whether texts are read by the sentence encoder as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UseEncoder {
    Off,
    /// If its model is installed.
    Installed,
    /// And nothing is served where it is not.
    Required,
}

/// What takes the place of personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaskStyle {
    Label,
    Partial,
    Hash,
    Reversible,
}

/// The form of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Format {
    pub think: Think,
    pub cut_loops: bool,
    pub tidy: bool,
}

/// What becomes of what a model thinks aloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Think {
    Move,
    Drop,
    Keep,
}

/// A policy is refused.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("policy '{name}': {why}")]
    Parse { name: String, why: String },
    #[error("policy '{name}', {key}: {why}")]
    Key {
        name: String,
        key: String,
        why: String,
    },
    #[error("policy '{name}' extends '{base}', which is not built in")]
    Extends { name: String, base: String },
}

impl Policy {
    /// Reads a policy's text.
    ///
    /// # Errors
    /// [`PolicyError`] names the key that is wrong.
    pub fn parse(name: &str, text: &str) -> Result<Self, PolicyError> {
        let parse = |text: &str| {
            text.parse::<toml::Table>()
                .map_err(|error| PolicyError::Parse {
                    name: name.to_owned(),
                    why: error.message().to_owned(),
                })
        };
        let mut said = parse(text)?;
        let base = match said.remove("extends") {
            None if PRESETS.iter().any(|(preset, _)| *preset == name) => None,
            None => Some(BASE.to_owned()),
            Some(base) => Some(base.as_str().unwrap_or_default().to_owned()),
        };
        let mut merged = toml::Table::new();
        let mut layers = vec![said];
        let mut base = base;
        while let Some(extended) = base.take() {
            let preset = PRESETS.iter().find(|(preset, _)| *preset == extended);
            let Some((_, text)) = preset else {
                return Err(PolicyError::Extends {
                    name: name.to_owned(),
                    base: extended,
                });
            };
            let mut below = parse(text)?;
            // A preset extends one that extends none.
            base = below.remove("extends").and_then(|base| {
                let base = base.as_str()?.to_owned();
                (base != extended).then_some(base)
            });
            layers.push(below);
        }
        while let Some(layer) = layers.pop() {
            lay_over(&mut merged, layer);
        }
        let rules: Rules =
            serde_path_to_error::deserialize(toml::Value::Table(merged)).map_err(|error| {
                PolicyError::Key {
                    name: name.to_owned(),
                    key: error.path().to_string(),
                    why: error.into_inner().to_string().trim().to_owned(),
                }
            })?;
        rules.check().map_err(|(key, why)| PolicyError::Key {
            name: name.to_owned(),
            key,
            why: why.to_owned(),
        })?;
        Ok(Self::new(name, rules))
    }

    /// The policies that are built in.
    ///
    /// # Errors
    /// None: a test reads them.
    pub fn presets() -> Result<Vec<Self>, PolicyError> {
        let presets = PRESETS.iter();
        presets
            .map(|(name, text)| Self::parse(name, text))
            .collect()
    }

    /// What is to be done about a finding.
    pub fn response(&self, finding: &Finding, direction: Direction, place: Place) -> Response {
        let rule = self.rules.of(finding.guard);
        let exception = rule.kinds.get(finding.kind);
        let said = exception.and_then(|exception| exception.of(direction));
        let response = said.unwrap_or_else(|| rule.response(direction));
        // Whoever instructs the model may speak of attacks, and so may a model that refuses one.
        let is_own = finding.guard == GuardName::Injection
            && direction == Direction::Input
            && matches!(place, Place::Instructions | Place::Assistant);
        let is_noted = rule.logging_only || is_own || !self.counts(finding, place);
        if response != Response::Off && is_noted {
            return Response::Annotate;
        }
        response
    }

    /// Whether a finding is likely enough to be taken for what it looks like.
    pub fn counts(&self, finding: &Finding, place: Place) -> bool {
        let rule = self.rules.of(finding.guard);
        let indirect = rule
            .indirect_threshold
            .filter(|_| matches!(place, Place::Tool | Place::File));
        let exception = rule.kinds.get(finding.kind);
        let threshold = exception.and_then(|exception| exception.threshold);
        finding.score >= threshold.or(indirect).unwrap_or(rule.threshold)
    }

    /// The policy with at least these responses to one guard's findings.
    pub fn at_least(&self, guard: GuardName, pre_call: Response, post_call: Response) -> Self {
        let mut rules = self.rules.clone();
        let rule = rules.of_mut(guard);
        let is_logged = std::mem::take(&mut rule.logging_only);
        let raise = |said: &mut Response, least: Response| {
            let now = if is_logged {
                (*said).min(Response::Annotate)
            } else {
                *said
            };
            *said = now.max(least);
        };
        raise(&mut rule.pre_call, pre_call);
        raise(&mut rule.post_call, post_call);
        for kind in rule.kinds.values_mut() {
            kind.pre_call
                .iter_mut()
                .for_each(|said| raise(said, pre_call));
            kind.post_call
                .iter_mut()
                .for_each(|said| raise(said, post_call));
        }
        Self::new(&self.name, rules)
    }

    /// The policy for texts before the model that are too short to be judged by what they mean.
    pub fn by_form(&self) -> Self {
        let mut rules = self.rules.clone();
        for guard in [GuardName::Injection, GuardName::Toxicity] {
            let rule = rules.of_mut(guard);
            rule.pre_call = Response::Off;
            rule.kinds
                .values_mut()
                .for_each(|kind| kind.pre_call = None);
        }
        Self {
            rules,
            ..self.clone()
        }
    }

    fn new(name: &str, rules: Rules) -> Self {
        let canonical = serde_json::to_vec(&rules).unwrap_or_default();
        let mut digest = hex::encode(Sha256::digest(canonical));
        digest.truncate(12);
        Self {
            name: name.to_owned(),
            digest,
            rules,
        }
    }

    /// What takes the place of personal data.
    pub fn mask_style(&self) -> MaskStyle {
        self.rules.pii.style.unwrap_or(MaskStyle::Label)
    }

    /// Whether texts are read by the sentence encoder as well.
    pub fn encoder(&self) -> UseEncoder {
        self.rules.injection.encoder.unwrap_or(UseEncoder::Off)
    }

    /// Whether instructions get a word by which they are known again.
    pub fn has_canary(&self) -> bool {
        let is_wanted = self.rules.leak.canary.unwrap_or(false);
        is_wanted && self.looks(GuardName::Leak, Direction::Output)
    }

    /// Whether anything is to be made of what a guard finds.
    pub fn looks(&self, guard: GuardName, direction: Direction) -> bool {
        let rule = self.rules.of(guard);
        [Response::Annotate, Response::Mask, Response::Block]
            .into_iter()
            .any(|response| rule.may(response, direction))
    }

    /// Whether anything that a guard finds may block.
    pub fn may_block(&self, guard: GuardName, direction: Direction) -> bool {
        let rule = self.rules.of(guard);
        !rule.logging_only && rule.may(Response::Block, direction)
    }
}

impl Rules {
    fn of(&self, guard: GuardName) -> &Rule {
        match guard {
            GuardName::Injection => &self.injection,
            GuardName::Secrets => &self.secrets,
            GuardName::Pii => &self.pii,
            GuardName::Toxicity => &self.toxicity,
            GuardName::Output => &self.output,
            GuardName::Leak => &self.leak,
        }
    }

    fn of_mut(&mut self, guard: GuardName) -> &mut Rule {
        match guard {
            GuardName::Injection => &mut self.injection,
            GuardName::Secrets => &mut self.secrets,
            GuardName::Pii => &mut self.pii,
            GuardName::Toxicity => &mut self.toxicity,
            GuardName::Output => &mut self.output,
            GuardName::Leak => &mut self.leak,
        }
    }

    /// What types cannot say; or the key and what is wrong.
    fn check(&self) -> Result<(), (String, &'static str)> {
        for guard in GuardName::ALL {
            let name = guard.as_str();
            let rule = self.of(guard);
            let key = |key: &str| format!("{name}.{key}");
            let mut shares = vec![(key("threshold"), Some(rule.threshold))];
            shares.push((key("indirect_threshold"), rule.indirect_threshold));
            for (kind, exception) in &rule.kinds {
                shares.push((key(&format!("kinds.{kind}.threshold")), exception.threshold));
            }
            let wrong = |share: &f32| !(0.0..=1.0).contains(share);
            if let Some((key, _)) = shares.into_iter().find(|s| s.1.as_ref().is_some_and(wrong)) {
                return Err((key, "must be from 0 to 1"));
            }
            if let Some(kind) = rule.kinds.keys().find(|kind| !is_kind(guard, kind)) {
                return Err((key(&format!("kinds.{kind}")), "is nothing that is found"));
            }
            let sees_answers_only = matches!(guard, GuardName::Output | GuardName::Leak);
            let off = Response::Off;
            let mut before = rule.kinds.values().filter_map(|kind| kind.pre_call);
            if sees_answers_only && (rule.pre_call != off || before.any(|said| said != off)) {
                return Err((key("pre_call"), "must be off: it looks at answers only"));
            }
            let can_mask = matches!(
                guard,
                GuardName::Secrets | GuardName::Pii | GuardName::Output
            );
            let ways = [Direction::Input, Direction::Output];
            if !can_mask && ways.into_iter().any(|way| rule.may(Response::Mask, way)) {
                return Err((
                    name.to_owned(),
                    "cannot be masked: all of a text is, or is not",
                ));
            }
            let foreign = [
                (
                    "indirect_threshold",
                    rule.indirect_threshold.is_some(),
                    GuardName::Injection,
                ),
                ("encoder", rule.encoder.is_some(), GuardName::Injection),
                ("style", rule.style.is_some(), GuardName::Pii),
                (
                    "allowed_hosts",
                    rule.allowed_hosts.is_some(),
                    GuardName::Output,
                ),
                ("canary", rule.canary.is_some(), GuardName::Leak),
            ];
            let foreign = foreign
                .into_iter()
                .find(|(_, said, of)| *said && *of != guard);
            if let Some((field, ..)) = foreign {
                return Err((key(field), "is not of this guard"));
            }
            let mut hosts = rule.allowed_hosts.iter().flatten();
            if let Some(wrong) = hosts.position(|host| !is_host(host)) {
                let key = key(&format!("allowed_hosts[{wrong}]"));
                return Err((
                    key,
                    "must be the name of a host, in ASCII, without scheme, port, path or '*': what \
                     is below it is allowed too",
                ));
            }
        }
        Ok(())
    }
}

impl Rule {
    fn response(&self, direction: Direction) -> Response {
        match direction {
            Direction::Input => self.pre_call,
            Direction::Output => self.post_call,
        }
    }

    /// Whether this may be done about anything it finds.
    fn may(&self, response: Response, direction: Direction) -> bool {
        let exceptions = self.kinds.values().filter_map(|kind| kind.of(direction));
        exceptions
            .chain([self.response(direction)])
            .any(|said| said == response)
    }
}

impl Exception {
    fn of(&self, direction: Direction) -> Option<Response> {
        match direction {
            Direction::Input => self.pre_call,
            Direction::Output => self.post_call,
        }
    }
}

impl From<Response> for Action {
    fn from(response: Response) -> Self {
        match response {
            Response::Off | Response::Annotate => Self::Allow,
            Response::Mask => Self::Mask,
            Response::Block => Self::Block,
        }
    }
}

/// Whether a host of an address can ever be this one, or below it.
fn is_host(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let name = name.trim_start_matches('.');
    let parsed = url::Host::parse(name);
    !name.contains('*') && parsed.is_ok_and(|host| host.to_string() == name)
}

/// Tables are merged, everything else is replaced.
fn lay_over(below: &mut toml::Table, above: toml::Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => lay_over(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(guard: GuardName, kind: &'static str, score: f32) -> Finding {
        Finding {
            guard,
            kind,
            score,
            span: 0..1,
            harmless: None,
        }
    }

    #[test]
    fn presets_differ_and_are_well_formed() {
        let presets = Policy::presets().unwrap();
        assert_eq!(presets.len(), 3);
        let token = finding(GuardName::Secrets, "github_token", 0.9);
        let responses: Vec<_> = presets
            .iter()
            .map(|policy| policy.response(&token, Direction::Input, Place::User))
            .collect();
        assert_eq!(responses, [Response::Off, Response::Mask, Response::Block]);
        assert_ne!(presets[1].digest, presets[2].digest);
        assert_eq!(presets[1], Policy::presets().unwrap()[1]);
    }

    #[test]
    fn a_policy_says_only_what_is_different() {
        let text = "extends = 'strict'\n[pii.kinds.ip_address]\npre_call = 'off'\nthreshold = 0.9";
        let policy = Policy::parse("mine", text).unwrap();
        let ip = |score| finding(GuardName::Pii, "ip_address", score);
        let email = finding(GuardName::Pii, "email", 0.7);
        let response = |finding, way| policy.response(&finding, way, Place::User);
        assert_eq!(response(ip(1.0), Direction::Input), Response::Off);
        assert_eq!(response(ip(0.8), Direction::Output), Response::Annotate);
        assert_eq!(response(ip(0.9), Direction::Output), Response::Mask);
        assert_eq!(response(email, Direction::Input), Response::Mask);
        let strict = &Policy::presets().unwrap()[2];
        assert_eq!(policy.rules.secrets, strict.rules.secrets);
        assert_ne!(policy.digest, strict.digest);
    }

    #[test]
    fn hosts_are_named_as_addresses_name_them() {
        let hosts =
            "['Foo.com', '.bar.com', 'localhost', 'xn--mller-kva.de', '192.168.0.1', '[::1]']";
        let text = format!("[output]\nallowed_hosts = {hosts}");
        Policy::parse("mine", &text).unwrap();
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("[pii]\nstile = 'label'", "stile"),
            ("[secrets]\nstyle = 'label'", "secrets.style"),
            ("[pii]\ncanary = true", "pii.canary"),
            ("[toxicity]\nencoder = 'off'", "toxicity.encoder"),
            ("[injection]\nencoder = 'on'", "injection.encoder"),
            ("[pii]\nstyle = 'blank'", "pii"),
            ("[secrets]\npre_call = 'mark'", "secrets.pre_call"),
            ("[secrets]\nthreshold = 2.0", "secrets.threshold"),
            ("[toxicity]\npost_call = 'mask'", "toxicity"),
            ("[pii.kinds.emial]\npre_call = 'block'", "pii.kinds.emial"),
            ("[output]\npre_call = 'block'", "output.pre_call"),
            ("[leak.kinds.canary]\npre_call = 'block'", "leak.pre_call"),
            (
                "[output]\nallowed_hosts = ['a.example', '*.foo.com']",
                "output.allowed_hosts[1]",
            ),
            (
                "[output]\nallowed_hosts = ['https://bar.com']",
                "output.allowed_hosts[0]",
            ),
            (
                "[output]\nallowed_hosts = ['bar.com:443']",
                "output.allowed_hosts[0]",
            ),
            (
                "[output]\nallowed_hosts = ['bar.com/a']",
                "output.allowed_hosts[0]",
            ),
            (
                "[output]\nallowed_hosts = ['müller.de']",
                "output.allowed_hosts[0]",
            ),
            ("[output]\nallowed_hosts = ['']", "output.allowed_hosts[0]"),
            ("[toxicitie]\npost_call = 'off'", "toxicitie"),
            ("extends = 'mine'", "mine"),
            ("[pii", "policy 'wrong'"),
        ] {
            let error = Policy::parse("wrong", text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
