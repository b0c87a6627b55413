//! Policies: whatever a file says, it is taken or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use microllm::guardrails::bodies;

fuzz_target!(|text: &str| {
    bodies::policy(text);
});
