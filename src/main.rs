//! The program: checks the processor, then follows the command line.

mod cpu;

use std::io::Write;
use std::process::ExitCode;

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(refusal) = cpu::refusal() {
        // Nobody is left to tell when standard error is closed.
        let _ = std::io::stderr().write_all(refusal.as_bytes());
        return ExitCode::FAILURE;
    }
    microllm::cli::run()
}
