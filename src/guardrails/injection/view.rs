use std::ops::Range;

use super::matcher::{Hits, Matcher};
use super::rules::{FAMILIES, Family};
use super::{DOUBTFUL, FOREIGN};
use crate::guardrails::Place;
use crate::guardrails::linear::{Features, Linear, WINDOW, windows};

/// Log-odds that the worst of many windows loses for each doubling of their number: of many, one
/// looks bad by chance.
const CHANCE: f32 = 0.25;

/// Bytes that are judged as one.
const UNDIVIDED: usize = WINDOW * 3 / 2;

/// One way to read a text, in windows.
pub(super) struct View<'a> {
    text: &'a str,
    hits: Hits,
    /// One, or more in a long text.
    windows: Vec<Range<usize>>,
}

/// A window that may be read once more.
#[derive(Debug)]
pub(super) struct Doubt {
    /// Of its words.
    pub logit: f32,
    pub text: String,
}

/// What a finding is called, and where it is.
pub(super) type Kind = (&'static str, Range<usize>);

/// The worst of a view.
#[derive(Debug)]
pub(super) struct Found {
    pub logit: f32,
    /// What it is an attack by, and where in the view's text that is first found; most telling first.
    pub kinds: Vec<Kind>,
    /// In the view's text.
    pub part: Range<usize>,
    /// None: its words leave none.
    pub doubt: Option<Doubt>,
}

impl Found {
    /// With its places in the text that the view was made of.
    pub(super) fn placed(self, place: impl Fn(Range<usize>) -> Range<usize>) -> Self {
        let kinds = self.kinds.into_iter();
        Self {
            kinds: kinds.map(|(kind, span)| (kind, place(span))).collect(),
            part: place(self.part),
            ..self
        }
    }
}

impl<'a> View<'a> {
    pub(super) fn new(matcher: &Matcher, text: &'a str) -> Self {
        let windows = match text.len() {
            _ if text.trim().is_empty() => Vec::new(),
            0..=UNDIVIDED => std::iter::once(0..text.len()).collect(),
            _ => windows(text, WINDOW),
        };
        let hits = matcher.hits(text);
        Self {
            text,
            hits,
            windows,
        }
    }

    /// The text of each window.
    pub(super) fn parts(&self) -> impl Iterator<Item = &str> {
        let windows = self.windows.iter();
        windows.map(|window| self.text.get(window.clone()).unwrap_or_default())
    }

    /// A window of these log-odds, unless they leave no doubt.
    fn doubt(&self, (logit, window): (f32, Range<usize>)) -> Option<Doubt> {
        let text = self.text.get(window).filter(|_| logit >= DOUBTFUL)?;
        let text = text.to_owned();
        Some(Doubt { logit, text })
    }

    /// The families that are there.
    pub(super) fn dense(&self) -> [f32; FAMILIES] {
        self.hits.dense()
    }

    /// None: there is no text.
    pub(super) fn worst(
        &self,
        model: &Linear,
        features: &mut Features,
        place: Place,
    ) -> Option<Found> {
        let is_indirect = matches!(place, Place::Tool | Place::File);
        let chance = CHANCE * ((self.windows.len() + 1) as f32).log2();
        let mut worst: Option<(f32, Range<usize>, Hits)> = None;
        let mut window: Option<(f32, Range<usize>)> = None;
        self.read(features, |part, hits, features| {
            let Some(mut logit) = model.logit(0, features, &hits.dense()) else {
                return;
            };
            if is_indirect {
                logit += FOREIGN * (hits.foreign() as f32).min(2.0);
            }
            if part.len() < self.text.len() {
                logit -= chance;
            }
            let is_window = part.len() < self.text.len() || self.windows.len() == 1;
            if is_window && window.as_ref().is_none_or(|window| window.0 < logit) {
                window = Some((logit, part.clone()));
            }
            if worst.as_ref().is_none_or(|worst| worst.0 < logit) {
                worst = Some((logit, part, hits));
            }
        });
        let (logit, part, hits) = worst?;
        Some(Found {
            logit,
            kinds: kinds(model, &hits),
            part,
            doubt: window.and_then(|window| self.doubt(window)),
        })
    }

    /// Buckets and families of every part.
    pub(super) fn rows(&self, features: &mut Features) -> Vec<(Vec<u32>, Vec<f32>)> {
        let mut rows = Vec::new();
        self.read(features, |_, hits, features| {
            rows.push((features.buckets().to_vec(), hits.dense().to_vec()));
        });
        // The whole of the text first.
        let last = rows.len().min(1);
        rows.rotate_right(last);
        rows
    }

    /// Every window, and at last all of them together where there are many.
    fn read(&self, features: &mut Features, mut each: impl FnMut(Range<usize>, Hits, &Features)) {
        let mut whole = (self.windows.len() > 1).then(|| features.like());
        for window in &self.windows {
            features.read(self.text.get(window.clone()).unwrap_or_default());
            each(window.clone(), self.hits.within(window), features);
            if let Some(whole) = &mut whole {
                whole.extend(features);
            }
        }
        if let Some(whole) = whole {
            each(0..self.text.len(), self.hits.clone(), &whole);
        }
    }
}

/// Of each family that speaks for an attack, or of the first alone where none does, the first place.
fn kinds(model: &Linear, hits: &Hits) -> Vec<Kind> {
    let mut found: Vec<(u8, f32, Kind)> = Vec::new();
    for (family, span) in hits.iter() {
        let (Some(kind), Some(weight)) = (family.kind(), model.dense(0, *family as usize)) else {
            continue;
        };
        if found.iter().any(|(_, _, known)| known.0 == kind) {
            continue;
        }
        let rank = match family {
            // What instructions are overridden for is the smaller matter.
            Family::InstructionOverride => 2,
            // Languages share words: what English rules name is English.
            Family::Multilingual => 0,
            _ => 1,
        };
        found.push((rank, weight, (kind, span.clone())));
    }
    found.sort_by(|one, other| other.0.cmp(&one.0).then(other.1.total_cmp(&one.1)));
    let found = found.into_iter().enumerate();
    let telling = found.filter(|(place, (_, weight, _))| *place == 0 || *weight > 0.0);
    telling.map(|(_, (_, _, kind))| kind).collect()
}
