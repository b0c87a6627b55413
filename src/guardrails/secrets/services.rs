//! Tokens of messengers, mail services, payments and social networks.

use super::super::patterns::{Candidate, Pattern, Verdict};
use super::{CERTAIN, DISTINCT, LIKELY, check, mixed, rated, secret, token};

pub(super) static PATTERNS: [Pattern; 48] = [
    mixed("slack_token", r"(?-u:\b)xox[abceoprs]-[A-Za-z0-9-]{20,}"),
    mixed("slack_token", r"(?-u:\b)xoxe\.xox[bp]-[A-Za-z0-9-]{10,}"),
    mixed("slack_token", r"(?-u:\b)xapp-[0-9]-[A-Za-z0-9-]{20,}"),
    token(
        "slack_webhook",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{24,}",
    ),
    token(
        "discord_webhook",
        r"discord(?:app)?\.com/api/(?:v[0-9]{1,2}/)?webhooks/[0-9]{17,20}/[A-Za-z0-9_-]{40,}",
    ),
    secret(
        "discord_token",
        r"(?-u:\b)[MNO][A-Za-z0-9_-]{22,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}",
        discord,
    ),
    secret(
        "telegram_token",
        r"(?-u:\b)[0-9]{8,10}:[A-Za-z0-9_-]{34,36}(?-u:\b)",
        telegram,
    ),
    token(
        "teams_webhook",
        r"webhook\.office\.com/webhookb2/[A-Za-z0-9@-]{60,90}/IncomingWebhook/[A-Za-z0-9/-]{32,}",
    ),
    token("twilio_key", r"(?-u:\b)SK[0-9a-f]{32}(?-u:\b)"),
    secret(
        "twilio_key",
        r"(?-u:\b)AC[0-9a-f]{32}(?-u:\b)",
        |candidate| rated(candidate, LIKELY),
    ),
    mixed(
        "sendgrid_key",
        r"(?-u:\b)SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,}",
    ),
    token("mailgun_key", r"(?-u:\b)key-[0-9a-f]{32}(?-u:\b)"),
    mixed("mailgun_key", r"(?-u:\b)key-[0-9a-z]{32}(?-u:\b)"),
    token(
        "mailgun_key",
        r"(?-u:\b)[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}(?-u:\b)",
    ),
    token(
        "mailchimp_key",
        r"(?-u:\b)[0-9a-f]{32}-us[0-9]{1,2}(?-u:\b)",
    ),
    token(
        "brevo_key",
        r"(?-u:\b)x(?:key|smtp)sib-[a-f0-9]{64}-[A-Za-z0-9]{16,}",
    ),
    mixed(
        "resend_key",
        r"(?-u:\b)re_[A-Za-z0-9]{6,10}_[A-Za-z0-9]{18,}",
    ),
    token(
        "hubspot_token",
        r"(?-u:\b)pat-(?:na|eu|ap)[0-9]-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    ),
    mixed("intercom_token", r"(?-u:\b)dG9rO[A-Za-z0-9+/=]{40,}"),
    secret(
        "stripe_key",
        r"(?-u:\b)[sr]k_(?:live|test|prod)_[A-Za-z0-9]{10,}",
        stripe,
    ),
    mixed(
        "stripe_webhook_secret",
        r"(?-u:\b)whsec_[A-Za-z0-9+/=]{24,}",
    ),
    mixed("square_token", r"(?-u:\b)sq0[a-z]{3}-[A-Za-z0-9_-]{22,}"),
    mixed("square_token", r"(?-u:\b)EAAA[A-Za-z0-9_-]{58,}"),
    token(
        "braintree_token",
        r"access_token\$(?:production|sandbox)\$[a-z0-9]{16}\$[a-f0-9]{32,}",
    ),
    token(
        "shopify_token",
        r"(?-u:\b)shp(?:at|ca|pa|ss|tka|ua)_[a-fA-F0-9]{32,}",
    ),
    token(
        "plaid_token",
        r"(?-u:\b)access-(?:sandbox|development|production)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    ),
    mixed(
        "razorpay_key",
        r"(?-u:\b)rzp_(?:live|test)_[A-Za-z0-9]{14,}",
    ),
    mixed(
        "flutterwave_key",
        r"(?-u:\b)FLWSECK(?:_TEST)?-[A-Za-z0-9-]{12,}",
    ),
    mixed("easypost_key", r"(?-u:\b)EZ[AT]K[A-Za-z0-9]{54,}"),
    token(
        "shippo_token",
        r"(?-u:\b)shippo_(?:live|test)_[a-f0-9]{40,}",
    ),
    token("lob_key", r"(?-u:\b)(?:live|test)_[a-f0-9]{35}(?-u:\b)"),
    mixed(
        "duffel_token",
        r"(?-u:\b)duffel_(?:live|test)_[A-Za-z0-9_=-]{43,}",
    ),
    mixed(
        "adyen_key",
        r"(?-u:\b)AQE[A-Za-z0-9+/]{2}hmf[A-Za-z0-9+/=-]{60,}",
    ),
    mixed("facebook_token", r"(?-u:\b)EAA[A-Za-z0-9]{60,}"),
    mixed("instagram_token", r"(?-u:\b)IG(?:QV|AA)[A-Za-z0-9_-]{60,}"),
    secret("twitter_token", r"(?-u:\b)A{20}[A-Za-z0-9%]{50,}", twitter),
    mixed("dropbox_token", r"(?-u:\b)sl\.(?:u\.)?[A-Za-z0-9_-]{100,}"),
    mixed(
        "linkedin_secret",
        r"(?-u:\b)WPL_AP[0-9]\.[A-Za-z0-9.=+/]{16,}",
    ),
    mixed("twitch_token", r"(?-u:\b)oauth:[a-z0-9]{30,}"),
    mixed("typeform_token", r"(?-u:\b)tfp_[A-Za-z0-9_.=-]{40,}"),
    mixed(
        "mapbox_token",
        r"(?-u:\b)sk\.eyJ[A-Za-z0-9_-]{40,120}\.[A-Za-z0-9_-]{16,}",
    ),
    mixed("frameio_token", r"(?-u:\b)fio-u-[A-Za-z0-9_=-]{60,}"),
    mixed(
        "telnyx_key",
        r"(?-u:\b)KEY0[0-9A-F]{12,40}_[A-Za-z0-9]{16,}",
    ),
    mixed("amazon_mws_token", r"(?-u:\b)amzn\.mws\.[0-9a-f-]{36,}"),
    token(
        "teams_webhook",
        r"outlook\.office\.com/webhook/[A-Za-z0-9@%-]{60,90}/IncomingWebhook/[A-Za-z0-9/-]{32,}",
    ),
    mixed("twitch_token", r"(?-u:\b)live_[0-9]{6,12}_[A-Za-z0-9]{24,}"),
    mixed(
        "pagarme_key",
        r"(?-u:\b)[ae]k_(?:live|test)_[A-Za-z0-9]{20,}",
    ),
    mixed(
        "airtable_token",
        r"(?-u:\b)oaa[A-Za-z0-9]{14}\.v[0-9]\.[A-Za-z0-9_.-]{60,}",
    ),
];

/// The first part of a bot's token is its id, a number, in base64.
fn discord(candidate: &Candidate<'_>) -> Option<Verdict> {
    let id = check::from_base64(candidate.text.split('.').next()?);
    let is_id = id.is_some_and(|id| id.iter().all(u8::is_ascii_digit));
    match is_id {
        true => rated(candidate, CERTAIN),
        // Parts of a name in a program are words.
        false => {
            let digits = candidate.text.bytes().filter(u8::is_ascii_digit).count();
            (digits >= 4).then(|| rated(candidate, LIKELY))?
        }
    }
}

fn telegram(candidate: &Candidate<'_>) -> Option<Verdict> {
    let token = candidate.text.split_once(':')?.1;
    let is_mixed = token.contains(|c: char| c.is_ascii_uppercase())
        && token.contains(|c: char| c.is_ascii_lowercase());
    let score = match token.starts_with("AA") {
        true => DISTINCT,
        false => LIKELY,
    };
    is_mixed.then(|| rated(candidate, score))?
}

/// A key for tests moves no money.
fn stripe(candidate: &Candidate<'_>) -> Option<Verdict> {
    match candidate.text.contains("_test_") {
        true => rated(candidate, LIKELY),
        false => rated(candidate, DISTINCT),
    }
}

/// Nothing but zeros in base64 is in pictures too.
fn twitter(candidate: &Candidate<'_>) -> Option<Verdict> {
    let before = candidate.before.to_ascii_lowercase();
    let is_named = ["bearer", "twitter", "token"]
        .iter()
        .any(|name| before.contains(name));
    let rest = candidate.text.trim_start_matches('A');
    let is_alike = rest.contains('%') || is_named;
    let is_dense = rest.bytes().filter(u8::is_ascii_digit).count() * 20 > rest.len();
    (is_alike && is_dense && check::entropy(rest) > 4.0)
        .then(|| candidate.whole(DISTINCT - 0.05))?
}
