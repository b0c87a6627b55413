//! A closer look at what the linear model leaves open: small nets over the vectors of a sentence
//! encoder.

use moka::sync::Cache;
use sha2::{Digest, Sha256};

use super::READINGS;
use super::view::Doubt;
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

    /// Log-odds that the most doubtful windows of a text add to those of its words.
    ///
    /// # Errors
    /// [`EncoderError`].
    pub(super) fn evidence(
        &self,
        encoder: &dyn Encoder,
        mut doubts: Vec<Doubt>,
    ) -> Result<f32, EncoderError> {
        doubts.sort_by(|one, other| other.logit.total_cmp(&one.logit));
        doubts.truncate(READINGS);
        if doubts.is_empty() {
            return Ok(0.0);
        }
        let mut worst = f32::MIN;
        let mut unread = Vec::new();
        for doubt in &doubts {
            let digest: [u8; 32] = Sha256::digest(&doubt.text).into();
            match self.known.get(&digest) {
                Some(known) => worst = worst.max(known),
                None => unread.push((digest, doubt.text.as_str())),
            }
        }
        if !unread.is_empty() {
            let texts: Vec<&str> = unread.iter().map(|(_, text)| *text).collect();
            let vectors = encoder.vectors(&texts)?;
            let is_whole = |vector: &Vec<f32>| vector.len() == self.inputs;
            if vectors.len() != texts.len() || !vectors.iter().all(is_whole) {
                let what = "it does not make vectors of its kind";
                return Err(EncoderError(what.to_owned()));
            }
            for ((digest, _), vector) in unread.into_iter().zip(vectors) {
                let log_odds = self.log_odds(&vector);
                self.known.insert(digest, log_odds);
                worst = worst.max(log_odds);
            }
        }
        Ok(self.weight * worst + self.bias)
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

    fn doubt(logit: f32, text: &str) -> Doubt {
        let text = text.to_owned();
        Doubt { logit, text }
    }

    #[test]
    fn evidence_is_what_the_file_says() {
        let encoder = Scripted::new(&[0.6, 0.8]);
        let evidence = nets().evidence(&encoder, vec![doubt(0.0, "a")]).unwrap();
        let expected = 0.5 * (0.6 * GAIN - 1.0) - 2.0;
        assert!((evidence - expected).abs() < 1e-4, "{evidence} {expected}");
        assert_eq!(nets().evidence(&encoder, Vec::new()).unwrap(), 0.0);
    }

    #[test]
    fn only_the_most_doubtful_is_read_and_none_twice() {
        let (nets, encoder) = (nets(), Scripted::new(&[1.0, 0.0]));
        for (many, asked) in [(9, &["w8"][..]), (6, &["w8", "w5"]), (9, &["w8", "w5"])] {
            let doubts = (0..many).map(|i: u8| doubt(f32::from(i), &format!("w{i}")));
            nets.evidence(&encoder, doubts.collect()).unwrap();
            assert_eq!(*encoder.asked.lock().unwrap(), asked);
        }
    }

    #[test]
    fn vectors_of_another_kind_are_no_evidence() {
        let encoder = Scripted::new(&[1.0, 0.0, 0.0]);
        nets()
            .evidence(&encoder, vec![doubt(0.0, "a")])
            .unwrap_err();
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
