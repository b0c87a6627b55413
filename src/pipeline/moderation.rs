//! Scores of texts in OpenAI's categories.

use crate::guardrails::{Finding, GuardName, Place, Policy, Response};
use crate::openai::moderation::{
    CATEGORIES, Moderation, ModerationMode, ModerationParam, ModerationPolicyMode,
    ModerationResult, ModerationResults, ModerationScores, ResultType, ResultsType,
};

/// What the model that scores is called; its weights come with the program.
pub const MODERATION_MODEL: &str = concat!("microllm-moderation-", env!("CARGO_PKG_VERSION"));

/// What the findings of a text come to.
pub(crate) fn scores<'a>(
    findings: impl IntoIterator<Item = &'a Finding>,
    policy: &Policy,
    place: Place,
) -> ModerationScores {
    let mut scores = ModerationScores {
        flagged: false,
        categories: CATEGORIES.map(|(name, _)| (name.to_owned(), false)).into(),
        category_scores: CATEGORIES.map(|(name, _)| (name.to_owned(), 0.0)).into(),
        category_applied_input_types: CATEGORIES
            .map(|(name, kind)| (name.to_owned(), kind.map(|_| "text".to_owned())))
            .map(|(name, types)| (name, types.into_iter().collect()))
            .into(),
    };
    for finding in findings {
        let scored = CATEGORIES
            .iter()
            .find(|(_, kind)| *kind == Some(finding.kind));
        let Some((category, _)) = scored.filter(|_| finding.guard == GuardName::Toxicity) else {
            continue;
        };
        if let Some(score) = scores.category_scores.get_mut(*category) {
            *score = score.max(finding.score);
        }
        let is_flagged = policy.counts(finding, place);
        if let Some(flag) = scores.categories.get_mut(*category) {
            *flag |= is_flagged;
        }
        scores.flagged |= is_flagged;
    }
    scores
}

/// What is asked of both ways, in a word for each.
pub(super) fn mode(asked: &ModerationParam) -> &'static str {
    let blocks = |mode: Option<&ModerationPolicyMode>| {
        mode.is_some_and(|mode| mode.mode == ModerationMode::Block)
    };
    let policy = asked.policy.as_ref();
    let input = blocks(policy.and_then(|policy| policy.input.as_ref()));
    let output = blocks(policy.and_then(|policy| policy.output.as_ref()));
    match (input, output) {
        (false, false) => "score",
        (true, false) => "block input",
        (false, true) => "block output",
        (true, true) => "block",
    }
}

/// The scores of a request and of its answers, as they become known.
#[derive(Debug, Default)]
pub(super) struct Moderated {
    input: Vec<ModerationScores>,
    output: Vec<ModerationScores>,
}

impl Moderated {
    pub(super) fn input(&mut self, scores: ModerationScores) {
        self.input.push(scores);
    }

    pub(super) fn output(&mut self, scores: ModerationScores) {
        self.output.push(scores);
    }

    pub(super) fn told(&mut self) -> Moderation {
        Moderation {
            input: results(std::mem::take(&mut self.input)),
            output: results(std::mem::take(&mut self.output)),
        }
    }
}

fn results(scores: Vec<ModerationScores>) -> ModerationResults {
    let results = scores.into_iter().map(|scores| ModerationResult {
        kind: ResultType::It,
        model: MODERATION_MODEL.to_owned(),
        scores,
    });
    ModerationResults {
        kind: ResultsType::It,
        model: MODERATION_MODEL.to_owned(),
        results: results.collect(),
    }
}

/// The policy, with what a request asks for on top: it may be stricter, never more lenient.
pub(super) fn stricter(policy: &Policy, asked: &ModerationParam) -> Policy {
    let of = |mode: Option<ModerationMode>| match mode {
        None | Some(ModerationMode::Score) => Response::Annotate,
        Some(ModerationMode::Block) => Response::Block,
    };
    let said = asked.policy.as_ref();
    let input = said.and_then(|policy| policy.input.as_ref());
    let output = said.and_then(|policy| policy.output.as_ref());
    policy.at_least(
        GuardName::Toxicity,
        of(input.map(|input| input.mode)),
        of(output.map(|output| output.mode)),
    )
}
