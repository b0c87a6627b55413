//! Prefix reuse: faster, bounded, and never another answer.

use microllm::engine::{Message, Role, Sampling};

use crate::harness::{Answer, ENGINE, FRESH, ask, greedy, load, message, run};

const QUESTIONS: [&str; 8] = [
    "Tell me about the sea and the animals that live in it.",
    "What is the capital of France, and what is it known for?",
    "Write a short poem about autumn leaves.",
    "How do airplanes fly? Explain simply.",
    "Give me three tips for learning a language.",
    "What is photosynthesis?",
    "Describe a sunrise in the mountains.",
    "Who was Isaac Newton?",
];

fn sampling(turn: usize) -> Sampling {
    Sampling {
        // Greedy and drawn in turn: an answer must not depend on reuse in either.
        temperature: if turn.is_multiple_of(2) { 0.0 } else { 0.8 },
        seed: Some(turn as u64),
        max_tokens: Some(24),
        top_logprobs: Some(5),
        ..greedy()
    }
}

/// Everything in an answer that a client can see, log probabilities to the last bit.
fn visible(answer: &Answer) -> (String, Vec<Vec<u32>>) {
    let bits = answer
        .logprobs
        .iter()
        .map(|l| l.top.iter().map(|t| t.logprob.to_bits()).collect())
        .collect();
    (answer.text.clone(), bits)
}

/// A chat of some turns; the answers of each.
async fn chat(
    engine: &microllm::engine::mistral::MistralEngine,
    system: &str,
    turns: usize,
) -> Vec<Answer> {
    let mut messages: Vec<Message> = vec![message(Role::System, system)];
    let mut answers = Vec::new();
    for (turn, question) in QUESTIONS.iter().take(turns).enumerate() {
        messages.push(message(Role::User, question));
        let answer = ask(engine, messages.clone(), sampling(turn))
            .await
            .expect("an answer");
        messages.push(message(Role::Assistant, &answer.text));
        answers.push(answer);
    }
    answers
}

#[test]
fn a_chat_reuses_its_history_and_answers_as_without() {
    run(async {
        let system = "You are a helpful assistant who answers briefly and kindly.";
        let reused = chat(&ENGINE, system, 8).await;
        let fresh = chat(&FRESH, system, 8).await;
        for (turn, (reused, fresh)) in reused.iter().zip(&fresh).enumerate() {
            assert_eq!(visible(reused), visible(fresh), "turn {turn}");
            assert_eq!(fresh.usage.cached_tokens, 0);
        }
        let last = &reused[7].usage;
        assert!(
            last.cached_tokens * 2 > last.prompt_tokens,
            "only {} of {} tokens were reused in the last turn",
            last.cached_tokens,
            last.prompt_tokens
        );
    });
}

#[test]
fn chats_at_the_same_time_do_not_mix() {
    run(async {
        let systems = [
            "You are a pirate.",
            "You are a helpful cook.",
            "You are a pirate poet.",
        ];
        let fresh = {
            let mut all = Vec::new();
            for system in systems {
                all.push(chat(&FRESH, system, 3).await);
            }
            all
        };
        let running: Vec<_> = systems
            .iter()
            .map(|system| tokio::spawn(chat(&ENGINE, system, 3)))
            .collect();
        for (task, fresh) in running.into_iter().zip(&fresh) {
            let reused = task.await.expect("no panic");
            for (reused, fresh) in reused.iter().zip(fresh) {
                assert_eq!(visible(reused), visible(fresh));
            }
        }
    });
}

#[test]
fn the_same_prompt_twice_gives_the_same_answer() {
    run(async {
        let ask = || {
            ask(
                &ENGINE,
                vec![message(Role::User, QUESTIONS[4])],
                sampling(0),
            )
        };
        let (first, second) = (ask().await.expect("one"), ask().await.expect("another"));
        assert_eq!(visible(&first), visible(&second));
    });
}

#[test]
fn a_prompt_longer_than_a_piece_is_answered_as_in_one() {
    run(async {
        let text = (0..140)
            .map(|n| format!("Item {n} costs {} coins.", n * 7 % 50))
            .collect::<Vec<_>>()
            .join(" ");
        let messages = vec![message(
            Role::User,
            &format!("{text} How many items are there?"),
        )];
        let pieces = ask(&ENGINE, messages.clone(), sampling(0))
            .await
            .expect("an answer");
        let whole = ask(&FRESH, messages, sampling(0)).await.expect("an answer");
        assert!(whole.usage.prompt_tokens > 1000);
        assert_eq!(visible(&pieces), visible(&whole));
    });
}

#[test]
fn tenants_never_share() {
    use microllm::engine::Engine;
    let engine = load(64 << 20);
    run(async {
        let mut request =
            crate::harness::request(vec![message(Role::User, QUESTIONS[0])], sampling(0));
        for (scope, expected) in [("one", false), ("two", false), ("one", true)] {
            request.scope = scope.into();
            let prepared = engine.prepare(request.clone()).await.expect("prepared");
            let mut generation = engine
                .generate(prepared, crate::harness::place().await)
                .await
                .expect("started");
            let mut cached = 0;
            while let Some(event) = generation.events.recv().await {
                if let microllm::engine::Event::Done { usage, .. } = event.expect("no error") {
                    cached = usage.cached_tokens;
                }
            }
            // The very first request of a scope must find nothing.
            assert!(expected || cached == 0, "scope {scope}: {cached}");
        }
    });
}

#[test]
fn memory_stays_within_its_bound() {
    // Alone in a process: the size is that of the whole of it.
    const ALONE: &str = "MICROLLM_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let status = std::process::Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "reuse::memory_stays_within_its_bound"])
            .env(ALONE, "1")
            .status()
            .expect("it starts");
        assert!(status.success());
        return;
    }
    let engine = load(48 << 20);
    run(async {
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").expect("linux");
            let line = status
                .lines()
                .find(|l| l.starts_with("VmRSS:"))
                .expect("a size");
            let kib: u64 = line
                .split_whitespace()
                .nth(1)
                .and_then(|n| n.parse().ok())
                .expect("a number");
            kib >> 10
        };
        let mut after_warm_up = 0;
        for round in 0..24 {
            let text = format!(
                "Round {round}. {}",
                "Tell me more about it. ".repeat(20 + round % 5)
            );
            let mut sampling = sampling(0);
            sampling.max_tokens = Some(2);
            ask(&engine, vec![message(Role::User, &text)], sampling)
                .await
                .expect("an answer");
            if round == 8 {
                after_warm_up = resident();
            }
        }
        // 16 prompts of over 100 tokens at 46 KB each, plus mistralrs' steps of 24 MB for each,
        // would be far beyond this if they were kept.
        let grown = resident().saturating_sub(after_warm_up);
        assert!(grown < 120, "grew by {grown} MiB");
    });
}
