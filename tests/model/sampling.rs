//! What the API promises of sampling and mistralrs does not do.

use microllm::engine::{FinishReason, Sampling};

use crate::harness::{Answer, ENGINE, ask, endless, greedy, run, user};

const STORY: &str = "Write a story about a lighthouse.";

fn answer(prompt: &str, change: impl FnOnce(&mut Sampling)) -> Answer {
    let mut sampling = greedy();
    change(&mut sampling);
    run(ask(&ENGINE, user(prompt), sampling)).expect("an answer")
}

#[test]
fn the_same_seed_gives_the_same_text() {
    let drawn = |seed| {
        answer(STORY, |s| {
            s.temperature = 1.0;
            s.seed = Some(seed);
        })
        .text
    };
    let first = drawn(7);
    assert_eq!(first, drawn(7));
    assert_ne!(first, drawn(8));
}

#[test]
fn without_a_seed_texts_differ() {
    let drawn = || answer(STORY, |s| s.temperature = 1.2).text;
    assert_ne!(drawn(), drawn());
}

#[test]
fn a_stop_string_over_token_boundaries_ends_the_text_before_it() {
    let whole = answer(STORY, |_| {}).text;
    // Any cut: stop strings need not begin or end with a token.
    for (from, to) in [(10, 17), (23, 24), (31, 52)] {
        let stop: String = whole.chars().skip(from).take(to - from).collect();
        let expected = whole.split(&stop).next().expect("a beginning").to_owned();
        let cut = answer(STORY, |s| s.stop = vec!["never said".into(), stop.clone()]);
        assert_eq!(cut.text, expected, "stop {stop:?}");
        assert_eq!(cut.finish_reason, FinishReason::Stop);
        assert!(cut.pieces.iter().all(|piece| !piece.contains(&stop)));
    }
}

#[test]
fn bias_forbids_and_forces_tokens() {
    let plain = answer("What is the capital of France?", |_| {});
    let first = plain.pieces.first().expect("text").clone();
    let token = |answer: &Answer| answer.logprobs.first().expect("asked for").token.clone();
    let with_logprobs = answer("What is the capital of France?", |s| {
        s.top_logprobs = Some(3)
    });
    assert_eq!(token(&with_logprobs).text, first);

    // 2 ends the answer: forced, there is none.
    let forced = answer(STORY, |s| s.logit_bias = vec![(2, 100.0)]);
    assert_eq!(
        (forced.text.as_str(), forced.finish_reason),
        ("", FinishReason::Stop)
    );
    // Forbidden, it goes on to the limit.
    let on_and_on = answer("What is the capital of France?", |s| {
        s.logit_bias = endless().logit_bias;
    });
    assert_eq!(on_and_on.finish_reason, FinishReason::Length);
}

#[test]
fn log_probabilities_are_natural_logarithms_of_a_distribution() {
    let answer = answer(STORY, |s| s.top_logprobs = Some(20));
    assert_eq!(answer.logprobs.len() as u32, answer.usage.completion_tokens);
    for chosen in &answer.logprobs {
        let sum: f64 = chosen.top.iter().map(|t| f64::from(t.logprob).exp()).sum();
        assert!(sum > 0.0 && sum <= 1.0001, "{sum}");
        assert_eq!(chosen.top.len(), 20);
        assert_eq!(chosen.top[0], chosen.token, "greedy takes the likeliest");
        assert!(chosen.top.windows(2).all(|w| w[0].logprob >= w[1].logprob));
    }
    let bytes: Vec<u8> = answer
        .logprobs
        .iter()
        .flat_map(|l| l.token.bytes.clone())
        .collect();
    assert_eq!(String::from_utf8_lossy(&bytes), answer.text);
}

#[test]
fn penalties_reduce_repetition() {
    let repeated = |text: &str| {
        let words: Vec<_> = text.split_whitespace().collect();
        let mut kinds = words.clone();
        kinds.sort_unstable();
        kinds.dedup();
        words.len() - kinds.len()
    };
    let prompt = "Repeat the word apple many times.";
    let plain = answer(prompt, |s| {
        s.max_tokens = Some(80);
        s.logit_bias = endless().logit_bias;
    })
    .text;
    let penalized = answer(prompt, |s| {
        s.max_tokens = Some(80);
        s.logit_bias = endless().logit_bias;
        s.frequency_penalty = 2.0;
    })
    .text;
    assert!(
        repeated(&penalized) < repeated(&plain),
        "{plain:?} and {penalized:?}"
    );
}
