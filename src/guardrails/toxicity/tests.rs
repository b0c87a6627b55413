use std::time::Instant;

use proptest::prelude::*;

use super::*;

fn scores(text: &str) -> Vec<Finding> {
    let judged = Toxicity::new().unwrap().judge(text, Place::User, None);
    judged.unwrap()
}

fn score(text: &str, kind: &str) -> f32 {
    let found = scores(text);
    let finding = found.iter().find(|finding| finding.kind == kind);
    finding.map_or(0.0, |finding| finding.score)
}

fn most(text: &str) -> f32 {
    let found = scores(text);
    found
        .iter()
        .map(|finding| finding.score)
        .fold(0.0, f32::max)
}

#[test]
fn every_kind_has_a_score_even_when_nothing_is_wrong() {
    let found = scores("Please summarize the minutes of the meeting on Tuesday.");
    let kinds: Vec<_> = found.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, KINDS);
    assert!(found.iter().all(|finding| finding.score < 0.1), "{found:?}");
    assert!(scores("").is_empty() && scores(" \n\t ").is_empty());
}

#[test]
fn each_kind_is_found() {
    for (kind, text) in [
        (
            "hate",
            "Immigrants are filthy vermin and should be driven out of our country.",
        ),
        (
            "harassment",
            "You are a pathetic idiot and everybody laughs at you, loser.",
        ),
        (
            "violence",
            "I know where you live and I am going to kill you tonight.",
        ),
        (
            "sexual",
            "She moaned as he pushed his hard cock into her wet pussy.",
        ),
        (
            "self_harm",
            "I have been thinking about suicide, I want to kill myself tonight.",
        ),
    ] {
        assert!(score(text, kind) > 0.5, "{kind} {text} {:?}", scores(text));
    }
}

#[test]
fn mentions_quotes_denials_and_harmless_uses_are_benign() {
    for text in [
        "Immigrants founded many of the companies in our city.",
        "My sister is a lesbian and teaches mathematics.",
        "How do I kill a child process in Linux?",
        "It is wrong to say that Muslims are terrorists.",
        "The helpline is open for anyone who thinks about suicide.",
        "Breast cancer screening is recommended from the age of fifty.",
        "The committee discussed how hate speech online should be moderated.",
        "What a fucking great concert that was!",
        "The police said that two people were shot near the station.",
        "Sex education covers consent and contraception.",
        "fn main() { let master = Slave::new(); master.kill(9); }",
    ] {
        assert!(most(text) < 0.5, "{text} {:?}", scores(text));
    }
}

#[test]
fn another_spelling_hides_nothing() {
    let plain = "I hate immigrants, they are all disgusting vermin.";
    for text in [
        "I h4te imm1grants, th3y are all d1sgusting verm1n.",
        "I ha\u{200b}te immi\u{ad}grants, they are all dis\u{2060}gusting vermin.",
        "I hаte immigrаnts, they аre аll disgusting vermin.",
        "I hate i m m i g r a n t s, they are all disgusting vermin.",
    ] {
        let difference = (score(plain, "hate") - score(text, "hate")).abs();
        assert!(difference < 0.1, "{text} {:?}", scores(text));
    }
}

#[test]
fn the_span_is_where_a_long_text_is_worst() {
    let fine = "The meeting moved on to the budget for the coming year. ".repeat(20);
    let bad = "You are a worthless piece of shit, you pathetic idiot.";
    let text = format!("{fine}é {bad} {fine}");
    let found = scores(&text);
    let worst = found
        .iter()
        .find(|finding| finding.kind == "harassment")
        .unwrap();
    let at = text.find(bad).unwrap();
    assert!(worst.span.start <= at && worst.span.end > at, "{worst:?}");
    assert!(worst.span.len() <= WINDOW + 4);
    assert!(worst.score > score(&fine, "harassment"));
}

#[test]
fn time_grows_with_the_text_and_no_faster() {
    let guard = Toxicity::new().unwrap();
    let time = |text: &str| {
        let runs = (0..3).map(|_| {
            let start = Instant::now();
            assert!(!guard.judge(text, Place::File, None).unwrap().is_empty());
            start.elapsed()
        });
        runs.min().unwrap_or_default()
    };
    for unit in ["word and word. ", "x", "!?", "\u{4e2d}", "a\u{301} "] {
        let small = time(&unit.repeat(8_192 / unit.len()));
        let large = time(&unit.repeat(1_048_576 / unit.len()));
        // 128 times as long; squared it would be 16,384 times. A busy machine may add its share.
        assert!(large < small * 2_560, "{unit:?} {small:?} {large:?}");
    }
}

proptest! {
    #[test]
    fn spans_and_scores_are_sound(text in "(?s)[a-z .!?\n中é👍\u{200b}]{0,1500}") {
        for finding in scores(&text) {
            prop_assert!((0.0..=1.0).contains(&finding.score));
            let part = text.get(finding.span);
            prop_assert!(part.is_some_and(|part| !part.trim().is_empty()));
        }
    }
}
