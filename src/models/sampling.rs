use serde::{Deserialize, Serialize};

/// How a model's answers are sampled where the request does not say; what is not given is OpenAI's
/// default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SamplingDefaults {
    /// 0 to 2.
    pub temperature: Option<f32>,
    /// 0 to 1.
    pub top_p: Option<f32>,
    /// From 1 up.
    pub top_k: Option<u32>,
    /// 0 to 1.
    pub min_p: Option<f32>,
    /// -2 to 2.
    pub presence_penalty: Option<f32>,
    /// -2 to 2.
    pub frequency_penalty: Option<f32>,
}

// Only numbers pass the check.
impl Eq for SamplingDefaults {}

impl SamplingDefaults {
    /// These, and where they say nothing the others.
    pub fn or(self, other: Self) -> Self {
        Self {
            temperature: self.temperature.or(other.temperature),
            top_p: self.top_p.or(other.top_p),
            top_k: self.top_k.or(other.top_k),
            min_p: self.min_p.or(other.min_p),
            presence_penalty: self.presence_penalty.or(other.presence_penalty),
            frequency_penalty: self.frequency_penalty.or(other.frequency_penalty),
        }
    }

    /// # Errors
    /// The name of the first value that is out of its range, and the range.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let in_range = |value: Option<f32>, least: f32, most: f32| {
            value.is_none_or(|value| (least..=most).contains(&value))
        };
        if !in_range(self.temperature, 0.0, 2.0) {
            return Err(("temperature", "must be from 0 to 2"));
        }
        if !in_range(self.top_p, 0.0, 1.0) {
            return Err(("top_p", "must be from 0 to 1"));
        }
        if self.top_k == Some(0) {
            return Err(("top_k", "must be from 1 up"));
        }
        if !in_range(self.min_p, 0.0, 1.0) {
            return Err(("min_p", "must be from 0 to 1"));
        }
        if !in_range(self.presence_penalty, -2.0, 2.0) {
            return Err(("presence_penalty", "must be from -2 to 2"));
        }
        if !in_range(self.frequency_penalty, -2.0, 2.0) {
            return Err(("frequency_penalty", "must be from -2 to 2"));
        }
        Ok(())
    }
}
