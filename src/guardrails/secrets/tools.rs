//! Tokens of tools for work, and of those that watch over servers.

use super::super::patterns::{Candidate, Pattern, Verdict};
use super::{CERTAIN, DISTINCT, check, mixed, rated, secret, token};

pub(super) static PATTERNS: [Pattern; 34] = [
    token("linear_key", r"(?-u:\b)lin_(?:api|oauth)_[A-Za-z0-9]{32,}"),
    mixed("notion_token", r"(?-u:\b)secret_[A-Za-z0-9]{43}(?-u:\b)"),
    mixed("notion_token", r"(?-u:\b)ntn_[A-Za-z0-9]{40,}"),
    mixed("figma_token", r"(?-u:\b)fig[dour]_[A-Za-z0-9_-]{36,}"),
    token(
        "airtable_token",
        r"(?-u:\b)pat[A-Za-z0-9]{14}\.[a-f0-9]{60,}",
    ),
    token(
        "asana_token",
        r"(?-u:\b)[12]/[0-9]{14,16}(?:/[0-9]{14,16})?:[a-f0-9]{32}(?-u:\b)",
    ),
    token("postman_key", r"(?-u:\b)PMAK-[a-f0-9]{24}-[a-f0-9]{32,}"),
    mixed("postman_key", r"(?-u:\b)PMAT-[A-Z0-9]{24,}"),
    mixed("contentful_token", r"(?-u:\b)CFPAT-[A-Za-z0-9_-]{40,}"),
    token(
        "dynatrace_token",
        r"(?-u:\b)dt0[a-z][0-9]{2}\.[A-Z0-9]{24}\.[A-Z0-9]{60,}",
    ),
    secret(
        "grafana_token",
        r"(?-u:\b)glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}",
        grafana,
    ),
    mixed("grafana_token", r"(?-u:\b)glc_[A-Za-z0-9+/=]{32,}"),
    token("grafana_token", r"(?-u:\b)eyJrIjoi[A-Za-z0-9+/=]{60,}"),
    token(
        "newrelic_key",
        r"(?-u:\b)NR(?:AK|II|IQ|JS|AA|RA)-[A-Za-z0-9_-]{20,}",
    ),
    mixed("sentry_token", r"(?-u:\b)sntry[su]_[A-Za-z0-9+/=_-]{40,}"),
    token("honeycomb_key", r"(?-u:\b)hca(?:ik|lk|mk)_[a-z0-9]{40,}"),
    token(
        "axiom_token",
        r"(?-u:\b)xa(?:at|pt)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    ),
    mixed("posthog_key", r"(?-u:\b)phx_[A-Za-z0-9]{40,}"),
    mixed("pagerduty_key", r"(?-u:\b)pdus\+_[A-Za-z0-9_-]{16,}"),
    mixed(
        "snyk_token",
        r"(?-u:\b)snyk_(?:uat|sat|pat)\.[A-Za-z0-9]{6,10}\.[A-Za-z0-9_.-]{30,}",
    ),
    mixed("adobe_secret", r"(?-u:\b)p8e-[A-Za-z0-9_-]{32,}"),
    mixed(
        "clickup_token",
        r"(?-u:\b)pk_[0-9]{6,10}_[A-Z0-9]{32}(?-u:\b)",
    ),
    mixed(
        "defined_token",
        r"(?-u:\b)dnkey-[A-Za-z0-9=_-]{26}-[A-Za-z0-9=_-]{52,}",
    ),
    mixed(
        "maxmind_key",
        r"(?-u:\b)[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk(?-u:\b)",
    ),
    mixed(
        "settlemint_token",
        r"(?-u:\b)sm_(?:aat|pat|sat)_[A-Za-z0-9]{16,}",
    ),
    mixed(
        "openshift_token",
        r"(?-u:\b)sha256~[A-Za-z0-9_-]{43}(?-u:\b)",
    ),
    mixed(
        "kubernetes_token",
        r"(?-u:\b)K10[a-f0-9]{64}::[A-Za-z0-9_-]{1,20}:[A-Za-z0-9_-]{20,}",
    ),
    mixed("databento_key", r"(?-u:\b)db-[A-Za-z0-9]{29}(?-u:\b)"),
    mixed("posthog_key", r"(?-u:\b)ph[ras]_[A-Za-z0-9]{40,}"),
    mixed("adafruit_key", r"(?-u:\b)aio_[A-Za-z0-9]{28}(?-u:\b)"),
    mixed("pganalyze_key", r"(?-u:\b)pga(?:r|pi)?_[A-Za-z0-9]{24,}"),
    mixed(
        "newrelic_key",
        r"(?-u:\b)(?:[a-z]{2}[0-9]{2}xx)?[a-f0-9]{28,42}-?NR(?:AL|MA)(?-u:\b)",
    ),
    // Made by startproject; the setting's own name is a key, but it is often cut off.
    secret(
        "django_key",
        r"django-insecure-[A-Za-z0-9!@#$%^&*(_=+)-]{40,}",
        |candidate| candidate.whole(0.6),
    ),
    token("okta_token", r"(?i-u:ssws)[ ]00[A-Za-z0-9_-]{38,}"),
];

/// A service account's token, whose last eight characters are a checksum.
fn grafana(candidate: &Candidate<'_>) -> Option<Verdict> {
    let (covered, given) = candidate.text.rsplit_once('_')?;
    let whole = [covered, given].concat();
    let secret = whole.strip_prefix("glsa_").unwrap_or_default();
    match check::has_hex_checksum(&whole) || check::has_hex_checksum(secret) {
        true => candidate.whole(CERTAIN),
        false => rated(candidate, DISTINCT - 0.05),
    }
}
