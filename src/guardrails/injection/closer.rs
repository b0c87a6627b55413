//! A closer look at what the linear model leaves open: small nets over the vectors of a sentence
//! encoder.

use moka::sync::Cache;
use sha2::{Digest, Sha256};

use crate::guardrails::linear::sigmoid;
use crate::guardrails::{Encoder, EncoderError};

/// Trained by `models/guardrails/train_injection_nets.py`.
static FILE: &[u8] = include_bytes!("../../../models/guardrails/injection_nets.bin");
/// What the file begins with.
const MAGIC: &[u8; 4] = b"MLLN";
/// Of the layout below; another one is not read.
const VERSION: u8 = 1;
/// Magic, version, nets, inputs and hidden units (u16 each).
const HEADER: usize = 10;
/// What vectors of length 1 are multiplied by, so that their parts are about as large as weights
/// like them.
const GAIN: f32 = 5.0;
/// Windows whose log-odds are remembered, some hundred bytes each: a conversation comes again with each
/// of its turns.
const REMEMBERED: u64 = 16_384;
/// No net is surer than this.
const SUREST: f32 = 1e-6;

/// Nets with one hidden layer (rectified linear units), whose probabilities are averaged.
///
/// The file, little-endian: magic `MLLN`, version (u8), nets (u8), inputs (u16), hidden units (u16);
/// what the log-odds of the nets are multiplied by and what is added (f32 each); then for each net
/// (f32 each) the weights of the hidden units, one unit after the other, their biases, the weights
/// of the output and its bias.
pub(super) struct Nets {
    nets: Vec<Net>,
    inputs: usize,
    weight: f32,
    bias: f32,
    /// By the SHA-256 of a window.
    known: Cache<[u8; 32], f32>,
}

struct Net {
    hidden: Vec<Unit>,
    bias: f32,
}

struct Unit {
    weights: Vec<f32>,
    bias: f32,
    /// Of its output.
    weight: f32,
}

/// A file is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("not nets of version {VERSION}")]
pub struct NetsError;

impl Nets {
    /// Those that are part of the program.
    ///
    /// # Errors
    /// [`NetsError`], which no build that passes its tests has.
    pub(super) fn new() -> Result<Self, NetsError> {
        Self::parse(FILE)
    }

    fn parse(file: &[u8]) -> Result<Self, NetsError> {
        let (header, rest) = file.split_first_chunk::<HEADER>().ok_or(NetsError)?;
        let [m, a, g, i, version, nets, inputs @ .., hidden, more] = *header;
        if [m, a, g, i] != *MAGIC || version != VERSION {
            return Err(NetsError);
        }
        let inputs = usize::from(u16::from_le_bytes(inputs));
        let hidden = usize::from(u16::from_le_bytes([hidden, more]));
        let (numbers, odd) = rest.as_chunks::<4>();
        let mut numbers = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes));
        let mut take = |many: usize| -> Result<Vec<f32>, NetsError> {
            let taken: Vec<f32> = numbers.by_ref().take(many).collect();
            let is_whole = taken.len() == many && taken.iter().all(|number| number.is_finite());
            is_whole.then_some(taken).ok_or(NetsError)
        };
        let &[weight, bias] = take(2)?.as_slice() else {
            return Err(NetsError);
        };
        let mut all = Vec::new();
        for _ in 0..nets {
            let weights = take(inputs * hidden)?;
            let (biases, out) = (take(hidden)?, take(hidden)?);
            let units = weights.chunks(inputs.max(1)).zip(biases).zip(out);
            let units = units.map(|((weights, bias), weight)| Unit {
                weights: weights.to_vec(),
                bias,
                weight,
            });
            let hidden = units.collect();
            let bias = take(1)?.pop().ok_or(NetsError)?;
            all.push(Net { hidden, bias });
        }
        if all.is_empty() || inputs == 0 || !odd.is_empty() || take(1).is_ok() {
            return Err(NetsError);
        }
        Ok(Self {
            nets: all,
            inputs,
            weight,
            bias,
            known: Cache::new(REMEMBERED),
        })
    }

    /// Log-odds that a window adds to those of its words.
    ///
    /// # Errors
    /// [`EncoderError`].
    pub(super) fn evidence(&self, encoder: &dyn Encoder, text: &str) -> Result<f32, EncoderError> {
        let digest: [u8; 32] = Sha256::digest(text).into();
        let log_odds = match self.known.get(&digest) {
            Some(known) => known,
            None => {
                let vector = encoder.vectors(&[text])?.pop();
                let vector = vector.filter(|vector| vector.len() == self.inputs);
                let wrong = "it does not make vectors of its kind";
                let vector = vector.ok_or_else(|| EncoderError(wrong.to_owned()))?;
                let log_odds = self.log_odds(&vector);
                self.known.insert(digest, log_odds);
                log_odds
            }
        };
        Ok(self.weight * log_odds + self.bias)
    }

    fn log_odds(&self, vector: &[f32]) -> f32 {
        let sum: f32 = self.nets.iter().map(|net| net.probability(vector)).sum();
        let mean = (sum / self.nets.len().max(1) as f32).clamp(SUREST, 1.0 - SUREST);
        (mean / (1.0 - mean)).ln()
    }
}

impl Net {
    fn probability(&self, vector: &[f32]) -> f32 {
        let units = self.hidden.iter().map(|unit| {
            let pairs = unit.weights.iter().zip(vector);
            let sum: f32 = pairs.map(|(weight, x)| weight * x * GAIN).sum();
            (sum + unit.bias).max(0.0) * unit.weight
        });
        sigmoid(units.sum::<f32>() + self.bias)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Says of each text where in the space it lies, and remembers what it was asked.
    struct Scripted {
        vector: Vec<f32>,
        asked: Mutex<Vec<String>>,
    }

    impl Scripted {
        fn new(vector: &[f32]) -> Self {
            Self {
                vector: vector.to_vec(),
                asked: Mutex::default(),
            }
        }
    }

    impl Encoder for Scripted {
        fn vectors(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EncoderError> {
            let texts = texts.iter().map(|text| (*text).to_owned());
            let mut asked = self.asked.lock().unwrap();
            let vectors = texts.map(|text| {
                asked.push(text);
                self.vector.clone()
            });
            Ok(vectors.collect())
        }
    }

    /// One net over two inputs: its log-odds are the first one, times the gain, less the bias.
    fn file(nets: u8, numbers: &[f32]) -> Vec<u8> {
        let mut file = b"MLLN\x01".to_vec();
        file.push(nets);
        file.extend([2, 0, 1, 0]);
        file.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        file
    }

    fn nets() -> Nets {
        Nets::parse(&file(1, &[0.5, -2.0, 1.0, 0.0, 0.0, 1.0, -1.0])).unwrap()
    }

    #[test]
    fn evidence_is_what_the_file_says() {
        let encoder = Scripted::new(&[0.6, 0.8]);
        let evidence = nets().evidence(&encoder, "a").unwrap();
        let expected = 0.5 * (0.6 * GAIN - 1.0) - 2.0;
        assert!((evidence - expected).abs() < 1e-4, "{evidence} {expected}");
    }

    #[test]
    fn nothing_is_read_twice() {
        let (nets, encoder) = (nets(), Scripted::new(&[1.0, 0.0]));
        for text in ["a", "b", "a"] {
            nets.evidence(&encoder, text).unwrap();
        }
        assert_eq!(*encoder.asked.lock().unwrap(), ["a", "b"]);
    }

    #[test]
    fn vectors_of_another_kind_are_no_evidence() {
        let encoder = Scripted::new(&[1.0, 0.0, 0.0]);
        nets().evidence(&encoder, "a").unwrap_err();
    }

    #[test]
    fn what_are_no_nets_is_refused() {
        let good = file(1, &[0.5, -2.0, 1.0, 0.0, 0.0, 1.0, -1.0]);
        for wrong in [
            Vec::new(),
            good[..HEADER].to_vec(),
            good[..good.len() - 4].to_vec(),
            [&good[..], &[0]].concat(),
            [&good[..], &[0; 4]].concat(),
            file(0, &[0.5, -2.0]),
            file(1, &[0.5, f32::NAN, 1.0, 0.0, 0.0, 1.0, -1.0]),
        ] {
            assert!(Nets::parse(&wrong).is_err(), "{wrong:?}");
        }
        Nets::new().unwrap();
    }
}
