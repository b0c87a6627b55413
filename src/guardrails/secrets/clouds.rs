//! Keys and tokens of clouds, hosts, databases as a service and vaults.

use super::super::patterns::{Candidate, Pattern, Verdict};
use super::{DISTINCT, LIKELY, check, mixed, rated, secret, token};

pub(super) static PATTERNS: [Pattern; 44] = [
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    secret(
        "aws_access_key",
        r"(?-u:\b)(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?-u:\b)",
        |candidate| rated(candidate, DISTINCT),
    ),
    // The secret key that follows an id.
    secret(
        "aws_secret_key",
        r#"(?-u:\b)(?:AKIA|ASIA)[A-Z0-9]{16}(?:[^A-Za-z0-9/+=]{1,8}[A-Za-z_]{1,24}){0,5}[^A-Za-z0-9/+]{1,8}[A-Za-z0-9/+]{40}(?-u:\b)"#,
        |candidate| last(candidate, 40),
    ),
    secret(
        "aws_secret_key",
        r#"(?i:secret[ _-]?(?:access)?[ _-]?key)["'\]]{0,2}[ \t]{0,4}(?:=>|[:=]|,|is|>)?[ \t]{0,4}["']?[A-Za-z0-9/+]{40}(?-u:\b)"#,
        |candidate| last(candidate, 40),
    ),
    token("aws_bedrock_key", r"(?-u:\b)ABSK[A-Za-z0-9+/]{80,}"),
    token("google_api_key", r"(?-u:\b)AIza[A-Za-z0-9_-]{35,}"),
    token("google_oauth_secret", r"(?-u:\b)GOCSPX-[A-Za-z0-9_-]{20,}"),
    mixed("google_oauth_token", r"(?-u:\b)ya29\.[A-Za-z0-9_-]{20,}"),
    mixed("google_oauth_token", r"(?-u:\b)1//0[A-Za-z0-9_-]{40,}"),
    secret(
        "gcp_service_account",
        r#"private_key_id\\?["']?[[:space:]]{0,3}[:=][[:space:]]{0,3}\\?["']?[a-f0-9]{40}(?-u:\b)"#,
        |candidate| last(candidate, 40),
    ),
    secret(
        "azure_storage_key",
        r"(?i:AccountKey|SharedAccessKey)=[A-Za-z0-9+/=]{40,}",
        after_equals,
    ),
    secret("azure_sas", r"[?&;]sig=[A-Za-z0-9%+/=]{43,}", after_equals),
    mixed(
        "azure_client_secret",
        r"(?-u:\b)[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,}",
    ),
    mixed("alibaba_access_key", r"(?-u:\b)LTAI[A-Za-z0-9]{12,}"),
    mixed("tencent_secret_id", r"(?-u:\b)AKID[A-Za-z0-9]{32,}"),
    token("digitalocean_token", r"(?-u:\b)do[opr]_v1_[a-f0-9]{40,}"),
    token("heroku_key", r"(?-u:\b)HRKU-[A-Za-z0-9_-]{36,}"),
    secret(
        "heroku_key",
        r#"(?i:heroku)[A-Za-z0-9_ .-]{0,24}["']?[[:space:]]{0,3}(?:=>|[:=>]|is)?[[:space:]]{0,3}["']?[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"#,
        |candidate| last(candidate, 36),
    ),
    token(
        "cloudflare_key",
        r"(?-u:\b)v1\.0-[a-f0-9]{24}-[a-f0-9]{100,}",
    ),
    secret(
        "cloudflare_key",
        r#"(?i:cloudflare|CF_API)[A-Za-z0-9_ .-]{0,24}["']?[[:space:]]{0,3}(?:=>|[:=>]|is)?[[:space:]]{0,3}["']?(?:[A-Za-z0-9_-]{40}|[a-f0-9]{37})(?-u:\b)"#,
        last_word,
    ),
    token("databricks_token", r"(?-u:\b)d(?:api|kea|ose)[a-f0-9]{32,}"),
    token(
        "doppler_token",
        r"(?-u:\b)dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{40,}",
    ),
    mixed("vault_token", r"(?-u:\b)hv[sbr]\.[A-Za-z0-9_-]{20,}"),
    secret(
        "vault_token",
        r"(?-u:\b)s\.[A-Za-z0-9]{24}(?-u:\b)",
        old_vault,
    ),
    token(
        "terraform_token",
        r"(?-u:\b)[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,}",
    ),
    token("pulumi_token", r"(?-u:\b)pul-[a-f0-9]{40,}"),
    token("supabase_token", r"(?-u:\b)sbp_(?:oauth_)?[a-f0-9]{40,}"),
    mixed("supabase_token", r"(?-u:\b)sb_secret_[A-Za-z0-9_-]{20,}"),
    token(
        "planetscale_token",
        r"(?-u:\b)pscale_(?:tkn|pw|oauth|api)_[A-Za-z0-9_.=-]{30,}",
    ),
    token("fly_token", r"(?-u:\b)fo1_[A-Za-z0-9_-]{40,}"),
    token("fly_token", r"(?-u:\b)fm[12][ar]?_[A-Za-z0-9+/=,_-]{60,}"),
    token("vercel_token", r"(?-u:\b)vc[apirk]_[A-Za-z0-9]{24,}"),
    token("netlify_token", r"(?-u:\b)nf[pcobu]_[A-Za-z0-9]{36,}"),
    token("render_token", r"(?-u:\b)rnd_[A-Za-z0-9]{28,}"),
    token(
        "tailscale_key",
        r"(?-u:\b)tskey-[a-z]{3,8}-[A-Za-z0-9]{8,24}-[A-Za-z0-9]{16,}",
    ),
    token(
        "tailscale_key",
        r"(?-u:\b)tskey-[A-Za-z0-9]{8,24}-[A-Za-z0-9]{16,}",
    ),
    mixed("yandex_key", r"(?-u:\b)AQVN[A-Za-z0-9_-]{35,}"),
    mixed("yandex_key", r"(?-u:\b)y[0-9]_[A-Za-z0-9_-]{50,}"),
    token(
        "launchdarkly_key",
        r"(?-u:\b)(?:api|sdk)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    ),
    token(
        "ibm_cloud_key",
        r"(?-u:\b)ApiKey-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    ),
    token(
        "onepassword_token",
        r"(?-u:\b)ops_eyJ[A-Za-z0-9+/=_-]{100,}",
    ),
    token(
        "age_key",
        r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58,}",
    ),
    mixed("cloudflare_key", r"(?-u:\b)cf(?:at|ut|k)_[A-Za-z0-9]{40,}"),
    mixed(
        "salesforce_token",
        r"(?-u:\b)00D[A-Za-z0-9]{12}![A-Za-z0-9_.]{60,}",
    ),
    // Azure DevOps: the signature stands at the 77th place.
    // https://learn.microsoft.com/azure/devops/release-notes/2024/general/sprint-241-update
    token(
        "azure_devops_token",
        r"(?-u:\b)[A-Za-z0-9]{52}JQQJ9[A-Za-z0-9]{19}AZDO[A-Za-z0-9]{4}",
    ),
];

/// Its last characters.
fn last(candidate: &Candidate<'_>, length: usize) -> Option<Verdict> {
    let at = candidate.text.len().checked_sub(length)?;
    let text = candidate.text.get(at..)?;
    let is_mixed = text.contains(|c: char| c.is_ascii_digit()) && check::entropy(text) > 3.0;
    let score = match check::is_stand_in(text) || !is_mixed {
        true => super::STAND_IN,
        false => DISTINCT - 0.05,
    };
    candidate.part(at..candidate.text.len(), score)
}

fn last_word(candidate: &Candidate<'_>) -> Option<Verdict> {
    let is_in = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let rest = candidate.text.trim_end_matches(is_in);
    last(candidate, candidate.text.len() - rest.len())
}

fn after_equals(candidate: &Candidate<'_>) -> Option<Verdict> {
    let at = candidate.text.find('=')? + 1;
    let text = candidate.text.get(at..)?;
    let score = match check::is_stand_in(text) || check::entropy(text) < 3.5 {
        true => super::STAND_IN,
        false => DISTINCT - 0.05,
    };
    candidate.part(at..candidate.text.len(), score)
}

/// A service token of Vault before 1.10, which a name in a program might look like.
fn old_vault(candidate: &Candidate<'_>) -> Option<Verdict> {
    let has = |is: fn(&u8) -> bool, least| candidate.text.bytes().filter(is).count() >= least;
    let is_mixed = has(u8::is_ascii_digit, 2)
        && has(u8::is_ascii_uppercase, 4)
        && has(u8::is_ascii_lowercase, 4);
    is_mixed.then(|| rated(candidate, LIKELY - 0.1))?
}
