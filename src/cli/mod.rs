//! The command line. It is a contract for scripts: what is promised goes to standard output,
//! everything else to standard error; 0 is success, 1 a failure, 2 wrong usage.

mod admin;
mod audit;
mod cache;
mod guardrails;
mod init;
mod keys;
mod logging;
mod models;
mod secrets;
pub mod serve;
mod usage;
mod users;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Sources};

/// A private OpenAI-compatible server in one program.
#[derive(Debug, Parser)]
#[command(name = "microllm", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve; the first start prepares everything and shows the credentials once
    Serve(serve::ServeArgs),
    /// Prepare the data directory, the administrator and the first keys, without serving
    Init(init::InitArgs),
    /// People, for when nobody can sign in
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    /// API keys
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Models on this machine
    Models(models::ModelsArgs),
    /// Usage records
    #[command(subcommand)]
    Usage(usage::UsageCommand),
    /// What is stored about a person
    #[command(subcommand)]
    Users(users::UsersCommand),
    /// The record of who changed what
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// What is looked for in texts
    #[command(subcommand)]
    Guardrails(guardrails::GuardrailsCommand),
    /// Answers that are kept
    #[command(subcommand)]
    Cache(cache::CacheCommand),
    /// Keys that access tokens are signed with
    #[command(subcommand)]
    Secrets(secrets::SecretsCommand),
    /// Print the OpenAPI document
    Openapi,
}

/// Options of every command that looks at the configuration.
#[derive(Debug, Clone, Args)]
struct Common {
    /// Settings that differ from the defaults (TOML)
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Where the database, the secrets and the models are
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
}

impl Common {
    /// The configuration, with what the command line says on top.
    fn load(&self, more: Vec<(&'static str, String)>) -> anyhow::Result<Config> {
        let mut sources = Sources::from_process()?;
        sources.file.clone_from(&self.config);
        sources.overrides = more;
        let mut config = sources.load()?;
        if let Some(dir) = &self.data_dir {
            // Not through the sources: a path need not be UTF-8.
            config.data.dir.clone_from(dir);
        }
        Ok(config)
    }
}

/// Follows the process's arguments.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    if let Command::Serve(args) = &cli.command {
        match args.config() {
            Ok(config) => serve::prepare_process(&config),
            Err(error) => return failed(&error),
        }
    }
    let runtime = match crate::runtime::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let result = runtime.block_on(dispatch(cli.command));
    // A model's thread in the middle of a computation must not keep the process alive.
    runtime.shutdown_timeout(Duration::from_secs(2));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // `microllm usage export | head` is no failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

async fn dispatch(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(args) => serve::run(args).await,
        Command::Init(args) => init::run(args).await,
        Command::Admin(command) => admin::run(command).await,
        Command::Cache(command) => cache::run(command).await,
        Command::Keys(command) => keys::run(command).await,
        Command::Models(args) => models::run(args).await,
        Command::Usage(command) => usage::run(command).await,
        Command::Users(command) => users::run(command).await,
        Command::Audit(command) => audit::run(command).await,
        Command::Guardrails(command) => guardrails::run(command).await,
        Command::Secrets(command) => secrets::run(command).await,
        Command::Openapi => Ok(writeln!(io::stdout(), "{}", crate::http::openapi_json())?),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "microllm: {error:#}");
    ExitCode::FAILURE
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }
}
