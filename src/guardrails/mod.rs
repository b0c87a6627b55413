//! What is looked for in texts, before the model and after it. Knows texts and policies, never who
//! is asking.
//!
//! - `finding`: what a guard says of a text
//! - `patterns`: things that are found by their form, in whole texts and in streams alike
//! - `folded`: a text as patterns look at it
//! - `policy`: what is done about what is found

mod finding;
mod folded;
mod patterns;
mod policy;

pub use finding::{Action, Direction, Finding, GuardName, Place};
pub use patterns::{Candidate, LONGEST_MATCH, Pattern, Patterns, Scan, Verdict};
pub use policy::{Format, MaskStyle, OnFailure, Policy, PolicyError, Response, Rules, Think};
