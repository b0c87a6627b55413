//! Toxicity: a linear model over hashed words and characters, with a head for each category.
//!
//! It reads how words stand together, not whether some word occurs; what it was trained on, how
//! well it does and where it errs is in the documentation of the guardrails. It knows English.

use std::ops::Range;

use super::encoder::{Encoder, EncoderError};
use super::guards::{Guard, GuardError};
use super::linear::{Features, Linear, WINDOW, sigmoid, windows};
use super::normalize::Normalized;
use super::{Finding, GuardName, Place};

/// Made by `models/guardrails/train_toxicity.py`.
static MODEL: &[u8] = include_bytes!("../../../models/guardrails/toxicity.bin");

/// What the heads of the model judge, in their order, by the names of OpenAI's moderation
/// categories.
pub const KINDS: [&str; 5] = ["hate", "harassment", "violence", "sexual", "self_harm"];

pub(super) struct Toxicity {
    model: Linear,
}

impl Toxicity {
    pub(super) fn new() -> Result<Self, GuardError> {
        Ok(Self {
            model: Linear::parse(MODEL)?,
        })
    }

    /// What reads worst of each kind in any window of a text, as it stands and with letters for
    /// digits that take their place.
    fn worst(&self, text: &str, features: &mut Features) -> [Option<Worst>; KINDS.len()] {
        let mut worst = [const { None }; KINDS.len()];
        let plain = Normalized::new(text);
        let unmasked = plain.without_leetspeak();
        for view in [Some(&plain), unmasked.as_ref()].into_iter().flatten() {
            for window in windows(view.as_str(), WINDOW) {
                if let Some((span, part)) = trimmed(view.as_str(), window) {
                    features.read(part);
                    self.compare(features, || view.origin(span.clone()), &mut worst);
                }
            }
        }
        worst
    }

    /// Replaces what is less likely than what the features are of, which stands at `span`.
    fn compare(
        &self,
        features: &Features,
        span: impl Fn() -> Range<usize>,
        worst: &mut [Option<Worst>; KINDS.len()],
    ) {
        for (head, worst) in worst.iter_mut().enumerate() {
            let Some(logit) = self.model.logit(head, features, &[]) else {
                continue;
            };
            if worst.as_ref().is_none_or(|worst| logit > worst.logit) {
                *worst = Some(Worst {
                    logit,
                    span: span(),
                });
            }
        }
    }
}

/// The likeliest place of a kind.
struct Worst {
    /// Log-odds.
    logit: f32,
    /// In the original.
    span: Range<usize>,
}

impl Guard for Toxicity {
    fn name(&self) -> GuardName {
        GuardName::Toxicity
    }

    /// One finding of each kind: how likely it is where the text is worst.
    fn judge(
        &self,
        text: &str,
        _place: Place,
        _encoder: Option<&dyn Encoder>,
    ) -> Result<Vec<Finding>, EncoderError> {
        let worst = self.model.reading(|features| self.worst(text, features));
        let scored = KINDS.into_iter().zip(worst);
        let found = scored.filter_map(|(kind, worst)| {
            let Worst { logit, span } = worst?;
            Some(Finding {
                guard: GuardName::Toxicity,
                kind,
                score: sigmoid(logit),
                span,
                harmless: None,
            })
        });
        Ok(found.collect())
    }
}

/// A part of a text without the blanks around it, unless it is all blank.
fn trimmed(text: &str, part: Range<usize>) -> Option<(Range<usize>, &str)> {
    let within = text.get(part.clone())?;
    let start = part.start + within.len() - within.trim_start().len();
    let within = within.trim();
    (!within.is_empty()).then(|| (start..start + within.len(), within))
}

#[cfg(test)]
mod tests;
