//! An answer on its way out: any split goes out as the whole does.
#![no_main]

use libfuzzer_sys::fuzz_target;
use microllm::guardrails::bodies;

fuzz_target!(|input: (Vec<u8>, String)| {
    assert_eq!(bodies::answer(&input.0, &input.1), None);
});
