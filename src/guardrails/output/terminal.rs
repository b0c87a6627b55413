//! Signs that are not seen and do something: control characters (ECMA-48), marks of direction
//! (Unicode Annex 9), and those that carry text which nobody sees.

use super::replaced;
use crate::guardrails::GuardName;
use crate::guardrails::patterns::{Candidate, Pattern, Verdict};

/// Those of terminals and screens hold in code too.
pub(super) static PATTERNS: [Pattern; 4] = [
    Pattern {
        guard: GuardName::Output,
        kind: "terminal_escape",
        regex: r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}]{1,32}",
        judge: |candidate| {
            let pictures = candidate.text.chars().map(picture).collect::<String>();
            replaced(candidate, 0..candidate.text.len(), pictures, 0.95)
        },
    },
    Pattern {
        guard: GuardName::Output,
        kind: "bidi_override",
        regex: r"[\x{202a}-\x{202e}\x{2066}-\x{2069}]{1,16}",
        judge: direction,
    },
    Pattern {
        guard: GuardName::Output,
        kind: "invisible_text",
        regex: r"\x{1f3f4}?[\x{e0000}-\x{e007f}]{1,64}",
        judge: tag_characters,
    },
    Pattern {
        guard: GuardName::Output,
        kind: "invisible_text",
        regex: r"[\x{ad}\x{180e}\x{200b}-\x{200d}\x{2060}-\x{2064}\x{fe00}-\x{fe0f}\x{feff}\x{e0100}-\x{e01ef}]{8,64}",
        judge: |candidate| replaced(candidate, 0..candidate.text.len(), "\u{fffd}", 0.8),
    },
];

/// What a control character is drawn as (Unicode block Control Pictures). One of the second set is
/// an escape and a letter in the first.
fn picture(control: char) -> String {
    let code = u32::from(control);
    let drawn = |code: u32| char::from_u32(0x2400 + code).unwrap_or('\u{fffd}');
    match code {
        0..0x20 => drawn(code).to_string(),
        0x7f => drawn(0x21).to_string(),
        _ => {
            let letter = char::from_u32(code.saturating_sub(0x40)).unwrap_or('\u{fffd}');
            format!("{}{letter}", drawn(0x1b))
        }
    }
}

/// Overrides show a text as what it is not. Embeddings and isolates are of use where scripts mix,
/// and in code of none.
fn direction(candidate: &Candidate<'_>) -> Option<Verdict> {
    let overrides = candidate.text.contains(['\u{202d}', '\u{202e}']);
    let score = match (overrides, candidate.in_code) {
        (true, _) => 0.95,
        (false, true) => 0.9,
        (false, false) => 0.3,
    };
    let named = candidate.text.chars();
    let named: String = named.map(|c| format!("[U+{:04X}]", u32::from(c))).collect();
    replaced(candidate, 0..candidate.text.len(), named, score)
}

/// Tag characters are of the flags of regions (Unicode Technical Standard 51), else of hidden text.
fn tag_characters(candidate: &Candidate<'_>) -> Option<Verdict> {
    let text = candidate.text;
    let start = text.find(|c| ('\u{e0000}'..='\u{e007f}').contains(&c))?;
    let tags = text.get(start..)?.chars().count();
    if start > 0 && text.ends_with('\u{e007f}') && (4..=7).contains(&tags) {
        return None;
    }
    replaced(candidate, start..text.len(), "\u{fffd}", 0.95)
}
