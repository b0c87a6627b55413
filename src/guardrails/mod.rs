//! What is looked for in texts, before the model and after it. Knows texts and policies, never who
//! is asking.
//!
//! - `finding`: what a guard says of a text
//! - `patterns`: things that are found by their form, in whole texts and in streams alike
//! - `folded`: a text as patterns look at it

mod finding;
mod folded;
mod patterns;

pub use finding::{Finding, GuardName};
pub use patterns::{Candidate, LONGEST_MATCH, Pattern, Patterns, Scan, Verdict};
