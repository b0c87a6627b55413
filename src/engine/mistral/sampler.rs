//! Chooses the next token, exactly as the API promises: seeded, biased, penalized, with natural
//! log probabilities.

use std::collections::HashMap;

use llguidance::toktrie::SimpleVob;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::engine::Sampling;

/// The state of one answer's sampling.
pub struct Sampler {
    sampling: Sampling,
    /// ChaCha gives the same numbers on every platform and in every release, so a seed given today
    /// gives the same text tomorrow.
    rng: ChaCha8Rng,
    generated: HashMap<u32, u32>,
}

/// A chosen token. Log probabilities are those of the model itself, before bias, penalties,
/// temperature and truncation.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    pub token: u32,
    /// Filled when the request asked for log probabilities.
    pub logprob: Option<Likelihood>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Likelihood {
    pub logprob: f32,
    /// The likeliest tokens, likeliest first.
    pub top: Vec<(u32, f32)>,
}

/// The model gave no usable number for any token.
#[derive(Debug, thiserror::Error)]
#[error("the model produced no finite logits")]
pub struct NoFiniteLogits;

impl Sampler {
    pub fn new(sampling: Sampling) -> Self {
        let rng = match sampling.seed {
            Some(seed) => ChaCha8Rng::seed_from_u64(seed),
            None => ChaCha8Rng::from_os_rng(),
        };
        Self {
            sampling,
            rng,
            generated: HashMap::new(),
        }
    }

    /// Chooses a token and remembers it for the penalties; one of those that are allowed, where not
    /// all are.
    ///
    /// # Errors
    /// When no logit is finite.
    pub fn choose(
        &mut self,
        logits: &mut [f32],
        allowed: Option<&SimpleVob>,
    ) -> Result<Chosen, NoFiniteLogits> {
        let likelihoods = self.sampling.top_logprobs.map(|n| (log_sum_exp(logits), n));
        let top = match likelihoods {
            Some((norm, n)) => likeliest(logits, usize::from(n))
                .into_iter()
                .map(|token| (token, logits[token as usize] - norm))
                .collect(),
            None => Vec::new(),
        };
        let raw = likelihoods.map(|_| logits.to_vec());

        self.bias_and_penalize(logits);
        if let Some(allowed) = allowed {
            for (token, logit) in (0_u32..).zip(logits.iter_mut()) {
                // Beyond its end nothing is allowed.
                if token as usize >= allowed.len() || !allowed.is_allowed(token) {
                    *logit = f32::NEG_INFINITY;
                }
            }
        }
        let token = if self.sampling.temperature <= f32::EPSILON {
            argmax(logits)?
        } else {
            self.draw(logits)?
        };
        *self.generated.entry(token).or_default() += 1;

        let logprob = match (raw, likelihoods) {
            (Some(raw), Some((norm, _))) => Some(Likelihood {
                logprob: raw[token as usize] - norm,
                top,
            }),
            _ => None,
        };
        Ok(Chosen { token, logprob })
    }

    fn bias_and_penalize(&self, logits: &mut [f32]) {
        for (&token, &count) in &self.generated {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit -=
                    self.sampling.presence_penalty + self.sampling.frequency_penalty * count as f32;
            }
        }
        for &(token, bias) in &self.sampling.logit_bias {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit += bias;
            }
        }
    }

    fn draw(&mut self, logits: &[f32]) -> Result<u32, NoFiniteLogits> {
        let candidates = self.candidates(logits)?;
        let total: f64 = candidates.iter().map(|&(_, p)| f64::from(p)).sum();
        let mut point = self.rng.random::<f64>() * total;
        for &(token, p) in &candidates {
            point -= f64::from(p);
            if point < 0.0 {
                return Ok(token);
            }
        }
        candidates
            .last()
            .map(|&(token, _)| token)
            .ok_or(NoFiniteLogits)
    }

    /// The tokens that truncation leaves, with their probabilities, likeliest first when a
    /// truncation needed the order.
    fn candidates(&self, logits: &[f32]) -> Result<Vec<(u32, f32)>, NoFiniteLogits> {
        let max = logits[argmax(logits)? as usize];
        let temperature = self.sampling.temperature;
        let mut probs: Vec<(u32, f32)> = logits
            .iter()
            .enumerate()
            .map(|(token, &logit)| (token as u32, ((logit - max) / temperature).exp()))
            .filter(|&(_, p)| p > 0.0)
            .collect();
        let total: f64 = probs.iter().map(|&(_, p)| f64::from(p)).sum();
        for (_, p) in &mut probs {
            *p = (f64::from(*p) / total) as f32;
        }

        let top_p = self.sampling.top_p;
        let min_p = self.sampling.min_p.unwrap_or(0.0);
        if top_p < 1.0 {
            // Tokens below this share sum to less than 1 - top_p all together, so none of them
            // can belong to the nucleus; leaving them out first spares sorting the vocabulary.
            let floor = (1.0 - top_p) / logits.len() as f32;
            let best = probs.iter().map(|&(_, p)| p).fold(0.0, f32::max);
            probs.retain(|&(_, p)| p > floor || p == best);
        }
        if min_p > 0.0 {
            let best = probs.iter().map(|&(_, p)| p).fold(0.0, f32::max);
            probs.retain(|&(_, p)| p >= best * min_p);
        }
        let top_k = self.sampling.top_k.map_or(usize::MAX, |k| k as usize);
        if top_p < 1.0 || top_k < probs.len() {
            probs.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            probs.truncate(top_k.max(1));
            let mut sum = 0.0;
            let nucleus = probs
                .iter()
                .position(|&(_, p)| {
                    sum += p;
                    sum >= top_p
                })
                .map_or(probs.len(), |last| last + 1);
            probs.truncate(nucleus);
        }
        Ok(probs)
    }
}

fn argmax(logits: &[f32]) -> Result<u32, NoFiniteLogits> {
    let mut best: Option<(usize, f32)> = None;
    for (token, &logit) in logits.iter().enumerate() {
        if logit.is_finite() && best.is_none_or(|(_, b)| logit > b) {
            best = Some((token, logit));
        }
    }
    best.map(|(token, _)| token as u32).ok_or(NoFiniteLogits)
}

/// Natural logarithm of the sum of exponentials: what turns logits into log probabilities.
fn log_sum_exp(logits: &[f32]) -> f32 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits
        .iter()
        .filter(|l| !l.is_nan())
        .map(|&l| f64::from(l - max).exp())
        .sum();
    (f64::from(max) + sum.ln()) as f32
}

/// The `n` tokens with the largest logits, largest first.
fn likeliest(logits: &[f32], n: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    let by_logit = |a: &u32, b: &u32| {
        logits[*b as usize]
            .total_cmp(&logits[*a as usize])
            .then(a.cmp(b))
    };
    if n == 0 {
        return Vec::new();
    }
    if n < order.len() {
        order.select_nth_unstable_by(n - 1, by_logit);
        order.truncate(n);
    }
    order.sort_unstable_by(by_logit);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(change: impl FnOnce(&mut Sampling)) -> Sampler {
        let mut sampling = Sampling::default();
        change(&mut sampling);
        Sampler::new(sampling)
    }

    fn tokens(sampler: &mut Sampler, logits: &[f32], n: usize) -> Vec<u32> {
        (0..n)
            .map(|_| {
                sampler
                    .choose(&mut logits.to_vec(), None)
                    .expect("finite")
                    .token
            })
            .collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_tokens() {
        let logits = vec![1.0; 50];
        let run = |seed| tokens(&mut sampler(|s| s.seed = Some(seed)), &logits, 20);
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn zero_temperature_takes_the_likeliest_and_ignores_nan() {
        let mut s = sampler(|s| s.temperature = 0.0);
        let chosen = s
            .choose(&mut [f32::NAN, 0.5, 3.0, 3.0], None)
            .expect("finite");
        assert_eq!(chosen.token, 2);
        assert!(s.choose(&mut [f32::NAN, f32::NEG_INFINITY], None).is_err());
    }

    #[test]
    fn frequencies_follow_the_probabilities() {
        let logits = [0.5f32.ln(), 0.3f32.ln(), 0.2f32.ln()];
        let drawn = tokens(&mut sampler(|s| s.seed = Some(1)), &logits, 20_000);
        for (token, expected) in [(0, 0.5), (1, 0.3), (2, 0.2)] {
            let share = drawn.iter().filter(|&&t| t == token).count() as f64 / 20_000.0;
            assert!(
                (share - expected).abs() < 0.015,
                "token {token}: {share} instead of {expected}"
            );
        }
    }

    #[test]
    fn truncations_keep_what_they_promise() {
        let logits = [0.5f32.ln(), 0.3f32.ln(), 0.15f32.ln(), 0.05f32.ln()];
        let kinds = |s: &mut Sampler| {
            let mut seen = tokens(s, &logits, 2_000);
            seen.sort_unstable();
            seen.dedup();
            seen
        };
        assert_eq!(kinds(&mut sampler(|s| s.top_p = 0.7)), [0, 1]);
        assert_eq!(kinds(&mut sampler(|s| s.top_p = 0.0)), [0]);
        assert_eq!(kinds(&mut sampler(|s| s.top_k = Some(3))), [0, 1, 2]);
        assert_eq!(kinds(&mut sampler(|s| s.min_p = Some(0.2))), [0, 1, 2]);
        assert_eq!(kinds(&mut sampler(|_| {})), [0, 1, 2, 3]);
    }

    #[test]
    fn penalties_count_generated_tokens_and_bias_is_added() {
        let logits = [1.0, 0.9];
        let mut s = sampler(|s| {
            s.temperature = 0.0;
            s.frequency_penalty = 0.06;
        });
        assert_eq!(tokens(&mut s, &logits, 4), [0, 0, 1, 0]);
        let mut s = sampler(|s| {
            s.temperature = 0.0;
            s.logit_bias = vec![(1, 100.0), (99, 5.0)];
        });
        assert_eq!(tokens(&mut s, &logits, 1), [1]);
    }

    #[test]
    fn log_probabilities_are_natural_and_of_the_model_itself() {
        let mut s = sampler(|s| {
            s.temperature = 0.0;
            s.top_logprobs = Some(2);
            s.logit_bias = vec![(2, 100.0)];
        });
        let logits = [0.5f32.ln(), 0.3f32.ln(), 0.2f32.ln()];
        let chosen = s.choose(&mut logits.to_vec(), None).expect("finite");
        let likelihood = chosen.logprob.expect("asked for");
        assert_eq!(chosen.token, 2);
        assert!((likelihood.logprob - 0.2f32.ln()).abs() < 1e-5);
        assert_eq!(likelihood.top.len(), 2);
        assert_eq!(likelihood.top[0].0, 0);
        assert!((likelihood.top[0].1 - 0.5f32.ln()).abs() < 1e-5);
    }
}
