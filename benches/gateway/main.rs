//! What `benches/gateway/run.py` measures with:
//!
//!     gateway serve [the options of `microllm serve`]
//!     gateway upstream --listen HOST:PORT
//!
//! `serve` is the whole program but for the model: in its place are `stub`, which answers at once,
//! and `stub-60ms`, which takes that long. `upstream` is the same for others, over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stub;
mod upstream;

use clap::{Parser, Subcommand};
use microllm::cli::serve::{self, ServeArgs};

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tokens that a text of this many bytes is taken for.
const BYTES_A_TOKEN: usize = 4;
/// What is answered: as long as a short answer of a model.
const ANSWER: &str = "A lighthouse keeper writes down the ships that pass in the fog, and when the \
                      night is clear he counts the stars instead, so that no page stays empty.";

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// What `cargo bench` adds.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(ServeArgs),
    Upstream {
        #[arg(long)]
        listen: String,
    },
}

fn main() -> anyhow::Result<()> {
    let runtime = microllm::runtime::runtime()?;
    match Arguments::parse().command {
        Command::Serve(args) => {
            let served = serve::with_models(args.config()?, async |_, models| {
                models.set(stub::models(), Vec::new());
                Ok(())
            });
            runtime.block_on(served)
        }
        Command::Upstream { listen } => Ok(runtime.block_on(upstream::serve(listen))?),
    }
}
