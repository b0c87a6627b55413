//! Addresses that crypto-currencies are sent to.

use super::context::Words;
use super::pattern;
use crate::guardrails::patterns::{Candidate, Pattern, Verdict};

pub static PATTERNS: [Pattern; 3] = [
    // Bitcoin, Base58Check of a hash and a version byte.
    pattern(
        "crypto_wallet",
        r"(?-u:\b)[13][1-9A-HJ-NP-Za-km-z]{25,34}(?-u:\b)",
        |candidate| {
            let decoded = bs58::decode(candidate.text).with_check(None).into_vec();
            let is_address = decoded.is_ok_and(|bytes| bytes.len() == 21);
            is_address.then(|| candidate.whole(0.98))?
        },
    ),
    // BIP 173 and BIP 350.
    pattern(
        "crypto_wallet",
        r"(?-u:\b)(?:bc1|BC1)[02-9A-HJ-NP-Zac-hj-np-z]{11,71}(?-u:\b)",
        |candidate| {
            let decoded = bech32::segwit::decode(candidate.text);
            decoded.is_ok().then(|| candidate.whole(0.99))?
        },
    ),
    // Ethereum and its like, 160 bits.
    pattern(
        "crypto_wallet",
        r"(?-u:\b)0x[0-9A-Fa-f]{40}(?-u:\b)",
        ethereum,
    ),
];

static WALLET: Words = Words::new(
    r"(?i)(?-u:\b)(?:eth|ethereum|ether|wallet|address|crypto|usdt|usdc|erc-?20|token|send|sent|pay|contract|polygon|metamask|donat[a-z]+)(?-u:\b)",
);

fn ethereum(candidate: &Candidate<'_>) -> Option<Verdict> {
    let digits = candidate.text.get(2..)?;
    let is_filler = digits
        .as_bytes()
        .windows(2)
        .filter(|pair| pair.first() == pair.last())
        .count()
        > 30;
    candidate.whole(match (is_filler, WALLET.are_in(candidate.before)) {
        (true, _) => 0.2,
        (false, true) => 0.93,
        (false, false) => 0.75,
    })
}
