//! Keys of providers that have no form of their own: hexadecimal, a UUID or random letters, known by
//! the provider's name before them on the same line.

use super::super::patterns::{Candidate, Pattern, Verdict};
use super::{check, letters, random, secret, value};

/// Providers of services with such keys.
macro_rules! vendor {
    () => {
        r"(?i-u:abstract|abuseipdb|accuweather|adafruit|adzuna|airbrake|airtable|airship|akamai|alchemy|algolia|alienvault|alphavantage|amplitude|apify|apilayer|apollo|appcues|appdynamics|appfollow|appsflyer|aiven|asana|assemblyai|auth0|authy|aviationstack|aylien|backblaze|baremetrics|basecamp|binance|bing|bitbar|bitfinex|bitly|bitmex|blazemeter|braintree|branchio|browserstack|bugsnag|calendly|buttercms|censys|chargebee|chargify|circleci|clarifai|clearbit|clickup|clockify|cloudflare|cloudinary|cloudsmith|codacy|codecov|codeclimate|coinbase|coinapi|coinlayer|coinmarketcap|confluent|contentful|convertkit|crowdin|currencylayer|customer\.?io|datadog|deepgram|deepl|deepseek|delighted|deviantart|dialpad|discogs|disqus|docusign|drone|dropbox|dynatrace|eventbrite|etherscan|etsy|exchangerate|facebook|fastly|fastspring|finnhub|firebase|fixer|flickr|foursquare|freshbooks|freshdesk|fullcontact|geocod|geoipify|getresponse|giphy|gitter|gocardless|godaddy|graphhopper|gumroad|harvest|hellosign|helpscout|heroku|honeybadger|honeycomb|hotjar|hubspot|hunter\.?io|imagekit|infura|instana|intercom|ipdata|ipgeolocation|ipinfo|ipstack|iterable|jira|jotform|jumpcloud|klaviyo|kraken|kucoin|lastfm|launchdarkly|lemlist|linode|litmus|livechat|lob|logdna|loggly|logz|lokalise|mailchimp|mailerlite|mailgun|mailjet|mailtrap|mandrill|mapquest|marvel|mediastack|messagebird|metabase|mixpanel|miro|mux|netlify|newrelic|new[ _]relic|newsapi|nexmo|nytimes|okta|omdb|omise|onelogin|onesignal|openai|opencage|openweather(?:map)?|opsgenie|optimizely|numverify|pagerduty|parseur|paypal|paystack|pendo|pingdom|pinterest|pipedrive|pixabay|plaid|plivo|positionstack|postmark|prestashop|pubnub|pusher|quickbooks|rapidapi|rebrandly|recaptcha|recurly|rollbar|runscope|salesforce|sauce(?:labs)?|scaleway|scraperapi|securitytrails|semaphore|sendbird|sendgrid|sendinblue|sentry|serp(?:api|stack)|shodan|signalfx|skyscanner|smartsheet|snowflake|snyk|sonar|spotify|sourcegraph|square|squarespace|stackhawk|statuscake|statuspage|storyblok|strava|stripe|stytch|sumo[ _]?logic|supabase|surveymonkey|tatum|teamwork|thingspeak|ticketmaster|tmdb|todoist|toggl|travis|trello|twilio|twitch|twitter|typeform|unsplash|uptimerobot|urlscan|userstack|vercel|virustotal|vonage|vultr|wakatime|wandb|weatherbit|weatherstack|webex|webflow|wepay|whoxy|wistia|worldcoin|wunderground|xero|yandex|yelp|youtube|zapier|zendesk|zenrows|zenserp|zoho|zoom)"
    };
}

/// Where nothing but the provider is named, what follows may be anything's number.
const OTHERS: [&str; 22] = [
    "id", "ids", "commit", "hash", "sha", "sha1", "sha256", "md5", "digest", "version", "revision",
    "ref", "uuid", "guid", "trace", "request", "ray", "public", "url", "uri", "image", "checksum",
];

pub(super) static PATTERNS: [Pattern; 1] = [secret(
    "vendor_key",
    concat!(
        vendor!(),
        r#"[A-Za-z0-9_.-]{0,24}\\?["'`\])}]{0,3}(?:[ \t]{1,3}[A-Za-z_.-]{1,16}){0,3}?\\?["'`\])}]{0,3}[ \t]{0,4}(?:[:=]{1,3}>?|[,(>|]|[ \t]-|[ \t])[ \t]{0,4}\\?["'`({\[]{0,3}[A-Za-z0-9+/_-][A-Za-z0-9+/_.~=-]{15,}"#
    ),
    key,
)];

fn key(candidate: &Candidate<'_>) -> Option<Verdict> {
    let is_in = |c: char| c.is_ascii_alphanumeric() || "+/_.~-=".contains(c);
    let text = candidate.text.trim_end_matches(['.', '-']);
    let bare = text.trim_end_matches('=');
    let start = bare.trim_end_matches(|c| is_in(c) && c != '=').len();
    let (named, key) = text.split_at_checked(start)?;
    let lower = named.to_ascii_lowercase();
    let mut words = lower.split(|c: char| !c.is_ascii_alphanumeric());
    // The end of a name in camel case.
    let ends_otherwise = named
        .trim_end_matches(|c: char| !c.is_ascii_alphanumeric())
        .ends_with("Id");
    if words.any(|word| OTHERS.contains(&word)) || ends_otherwise || key.len() < 16 {
        return None;
    }
    if value::is_something_else(key)
        || random::is_public(key)
        || key.contains('/') && letters::is_wordy(key)
    {
        return None;
    }
    let score = match () {
        _ if check::is_stand_in(key) => super::STAND_IN,
        _ if is_number(key) || random::is_random(key) => 0.75,
        _ if is_dense(key) => 0.6,
        _ => return None,
    };
    candidate.part(start..text.len(), score)
}

/// Hexadecimal or a UUID, as long as keys are.
fn is_number(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    let lines = text.bytes().filter(|byte| *byte == b'-').count();
    let has_letters = text.bytes().any(|byte| byte.is_ascii_alphabetic());
    digits >= 24 && digits + lines == text.len() && has_letters && check::entropy(text) > 2.8
}

/// Letters and digits in a mixture that words have not.
fn is_dense(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let others = text
        .bytes()
        .filter(|byte| !byte.is_ascii_alphanumeric())
        .count();
    let rest = text.len() - digits - others;
    digits >= 3 && rest >= 3 && others * 6 <= text.len() && letters::share_of_words(text) < 0.35
}

#[cfg(test)]
mod tests {
    use super::super::tests::likely;

    #[test]
    fn keys_are_found_by_their_providers_name() {
        for (text, key) in [
            (
                "datadog: 3c59dc048e8850243be8079a5c74d079",
                "3c59dc048e8850243be8079a5c74d079",
            ),
            (
                "const mailgunAuth = '3c59dc048e8850243be8079a5c74d079'",
                "3c59dc048e8850243be8079a5c74d079",
            ),
            (
                "hubspot 76a836c8-469d-4426-8a3b-194ca930b7a1",
                "76a836c8-469d-4426-8a3b-194ca930b7a1",
            ),
            ("algolia admin - \"k3j9x0q7w2m5z8v1\"", "k3j9x0q7w2m5z8v1"),
        ] {
            let found = likely(text);
            assert!(found.iter().any(|one| one.1 == key), "{text}: {found:?}");
        }
    }

    #[test]
    fn other_numbers_of_providers_are_none() {
        for text in [
            "datadog request id 3c59dc048e8850243be8079a5c74d079",
            "sentry commit 3c59dc048e8850243be8079a5c74d079a1b2c3d4",
            "the cloudflare ray: 3c59dc048e8850243be8079a5c74d079",
            "STRIPE_PRICE=price_9f8Kq2LmZx7Vb3Nw",
            "stripe-python-client-library",
            "zoom into the picture-of-the-day-2024-01-02",
            "hubspotPortalId = \"76a836c8-469d-4426-8a3b-194ca930b7a1\"",
        ] {
            assert!(likely(text).is_empty(), "{text}: {:?}", likely(text));
        }
    }
}
