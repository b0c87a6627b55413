//! OpenAI's headers about limits, and about whose they are.

use std::time::Duration;

use poem::http::{HeaderMap, HeaderName, HeaderValue};

use crate::auth::Principal;
use crate::limits::{Rate, RateStatus};

/// There is one organization.
const ORGANIZATION: HeaderValue = HeaderValue::from_static("microllm");

const OF_ORGANIZATION: HeaderName = HeaderName::from_static("openai-organization");
const OF_PROJECT: HeaderName = HeaderName::from_static("openai-project");
/// Limit, remaining, reset.
const REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// Adds the headers to an answer.
pub fn add(headers: &mut HeaderMap, principal: &Principal, status: Option<RateStatus>) {
    headers.insert(OF_ORGANIZATION, ORGANIZATION);
    if let Ok(project) = HeaderValue::from_str(&principal.project_id) {
        headers.insert(OF_PROJECT, project);
    }
    let Some(status) = status else {
        return;
    };
    rate(headers, REQUESTS, status.requests);
    rate(headers, TOKENS, status.tokens);
}

fn rate(headers: &mut HeaderMap, names: [HeaderName; 3], rate: Option<Rate>) {
    let Some(rate) = rate else {
        return;
    };
    let [limit, remaining, reset] = names;
    headers.insert(limit, rate.limit.into());
    headers.insert(remaining, rate.remaining.into());
    if let Ok(duration) = HeaderValue::from_str(&duration(rate.reset)) {
        headers.insert(reset, duration);
    }
}

/// As Go writes durations, which is how OpenAI does: `12ms`, `1.5s`, `6m0s`.
fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    let seconds = match (rest / 1000, rest % 1000) {
        (whole, 0) => format!("{whole}s"),
        (whole, part) => {
            format!("{whole}.{part:03}")
                .trim_end_matches('0')
                .to_owned()
                + "s"
        }
    };
    match (hours, minutes, millis) {
        (0, 0, 0) => "0s".to_owned(),
        (0, 0, ..1000) => format!("{millis}ms"),
        (0, 0, _) => seconds,
        (0, ..) => format!("{minutes}m{seconds}"),
        _ => format!("{hours}h{minutes}m{seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_openai_does() {
        for (millis, text) in [
            (0, "0s"),
            (12, "12ms"),
            (1000, "1s"),
            (1500, "1.5s"),
            (60_000, "1m0s"),
            (360_000, "6m0s"),
            (86_400_000, "24h0m0s"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }
}
