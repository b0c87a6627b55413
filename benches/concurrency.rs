//! How many answers at once? Lets mistralrs batch 1, 2, 4 and 8 requests by itself, and compares
//! with taking the same requests one after the other.
//!
//!     cargo bench --bench concurrency -- MODEL_DIRECTORY
//!
//! The directory is that of an installed model, such as
//! `~/.local/share/microllm/models/smollm2-135m-instruct`.

#[cfg(not(feature = "mistral"))]
fn main() {}

#[cfg(feature = "mistral")]
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(feature = "mistral")]
fn main() -> anyhow::Result<()> {
    microllm::engine::mistral::prepare_process(0);
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(measure::run())
}

#[cfg(feature = "mistral")]
mod measure {
    use std::sync::Arc;
    use std::time::Instant;

    use anyhow::Context;
    use mistralrs::{
        Constraint, GgufModelBuilder, Model, NormalRequest, Request, RequestMessage, Response,
        SamplingParams, TokenSource,
    };
    use tokio::sync::mpsc;

    const PROMPT: usize = 85;
    const ANSWER: usize = 64;

    pub async fn run() -> anyhow::Result<()> {
        let dir = std::env::args()
            .skip(1)
            .find(|argument| !argument.starts_with('-'))
            .context("which model directory?")?;
        println!("{PROMPT} tokens asked, {ANSWER} answered");
        println!(
            "| at once | how | tokens/s together | first token, mean s | first token, last s | all done, s |"
        );
        println!("|---|---|---|---|---|---|");
        for at_once in [1, 2, 4, 8] {
            let model = Arc::new(load(&dir, at_once).await?);
            ask(&model, 0).await?;
            report(at_once, "batched", batched(&model, at_once).await?);
            report(at_once, "in turn", in_turn(&model, at_once).await?);
        }
        Ok(())
    }

    async fn load(dir: &str, at_once: usize) -> anyhow::Result<Model> {
        let manifest = std::fs::read(format!("{dir}/model.json"))?;
        let manifest: serde_json::Value = serde_json::from_slice(&manifest)?;
        let weights = manifest["weights"].as_str().context("no weights")?;
        GgufModelBuilder::new(dir, vec![weights.to_owned()])
            .with_tok_model_id(dir)
            .with_token_source(TokenSource::None)
            .with_force_cpu()
            .with_max_num_seqs(at_once)
            .with_prefix_cache_n(None)
            .build()
            .await
    }

    /// Seconds from the common start to each request's first token, and to the end of all.
    type Times = (Vec<f64>, f64);

    async fn batched(model: &Arc<Model>, at_once: usize) -> anyhow::Result<Times> {
        let start = Instant::now();
        let tasks: Vec<_> = (0..at_once)
            .map(|n| {
                let model = model.clone();
                tokio::spawn(async move { ask(&model, n).await })
            })
            .collect();
        let mut firsts = Vec::new();
        for task in tasks {
            firsts.push((task.await?? - start).as_secs_f64());
        }
        Ok((firsts, start.elapsed().as_secs_f64()))
    }

    async fn in_turn(model: &Arc<Model>, at_once: usize) -> anyhow::Result<Times> {
        let start = Instant::now();
        let mut firsts = Vec::new();
        for n in 0..at_once {
            firsts.push((ask(model, n).await? - start).as_secs_f64());
        }
        Ok((firsts, start.elapsed().as_secs_f64()))
    }

    /// Runs one request to its end; when its first token came.
    async fn ask(model: &Model, n: usize) -> anyhow::Result<Instant> {
        let tokens = (0..PROMPT).map(|i| 100 + ((i * 131 + n * 17) % 900) as u32);
        let (response, mut responses) = mpsc::channel(ANSWER + 16);
        let request = NormalRequest {
            is_streaming: true,
            ..NormalRequest::new_simple(
                RequestMessage::CompletionTokens(tokens.collect()),
                SamplingParams {
                    max_len: Some(ANSWER),
                    temperature: Some(0.0),
                    ..SamplingParams::neutral()
                },
                response,
                n,
                None,
                None,
            )
        };
        debug_assert!(matches!(request.constraint, Constraint::None));
        let sender = model.inner().get_sender(None).map_err(anyhow::Error::msg)?;
        sender.send(Request::Normal(Box::new(request))).await?;
        let mut first = None;
        while let Some(response) = responses.recv().await {
            if matches!(response, Response::CompletionChunk(_)) {
                first.get_or_insert_with(Instant::now);
            }
        }
        first.context("no token came")
    }

    fn report(at_once: usize, how: &str, (firsts, total): Times) {
        let tokens = (at_once * ANSWER) as f64;
        let mean = firsts.iter().sum::<f64>() / firsts.len() as f64;
        let last = firsts.iter().copied().fold(0.0, f64::max);
        println!(
            "| {at_once} | {how} | {:.1} | {mean:.2} | {last:.2} | {total:.2} |",
            tokens / total
        );
    }
}
