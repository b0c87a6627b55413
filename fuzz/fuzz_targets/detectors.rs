//! Every detector: findings lie in the text, at borders of characters.
#![no_main]

use libfuzzer_sys::fuzz_target;
use microllm::guardrails::bodies;

fuzz_target!(|input: (bool, String)| {
    assert_eq!(bodies::detectors(&input.1, input.0), None);
});
