//! `microllm models`: what is known, fetched, checked, taken in and thrown away.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;

use super::Common;
use crate::models::catalog::{Catalog, Entry};
use crate::models::{InstalledModel, Library, Progress};

/// `microllm models`
#[derive(Debug, Args)]
pub struct ModelsArgs {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: ModelsCommand,
}

#[derive(Debug, Subcommand)]
enum ModelsCommand {
    /// What can be pulled and what is installed.
    List {
        /// One JSON object instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Fetch a model of the catalog, check it and install it.
    Pull { id: String },
    /// Check the files of an installed model, or of all, against their digests.
    Verify { id: Option<String> },
    /// Install a GGUF file of this machine.
    Import {
        file: PathBuf,
        /// Name of the model; otherwise made of the file's.
        #[arg(long)]
        id: Option<String>,
    },
    /// Delete an installed model.
    Remove { id: String },
}

/// Carries out `microllm models`. Results go to standard output, progress to standard error.
///
/// # Errors
/// Anything that kept the command from doing what it says, in words for the operator.
pub async fn run(args: ModelsArgs) -> anyhow::Result<()> {
    let config = args.common.load(Vec::new())?;
    let library = Library::open(&config.data.dir.join("models"))?;
    match args.command {
        ModelsCommand::List { json } => list(&library, json),
        ModelsCommand::Pull { id } => {
            if library.get(&id)?.is_some() {
                writeln!(io::stdout(), "{id} is installed already")?;
                return Ok(());
            }
            let model = library.ensure(&id, &Progress::stderr()).await?;
            writeln!(io::stdout(), "{}", installed_line(&model))?;
            Ok(())
        }
        ModelsCommand::Verify { id } => {
            let ids = match id {
                Some(id) => vec![id],
                None => library.installed()?.into_iter().map(|m| m.id).collect(),
            };
            for id in ids {
                library.verify(&id).await?;
                writeln!(io::stdout(), "{id}: as installed")?;
            }
            Ok(())
        }
        ModelsCommand::Import { file, id } => import(&library, &file, id.as_deref()).await,
        ModelsCommand::Remove { id } => {
            library.remove(&id)?;
            writeln!(io::stdout(), "{id} removed")?;
            Ok(())
        }
    }
}

#[cfg(feature = "mistral")]
async fn import(library: &Library, file: &Path, id: Option<&str>) -> anyhow::Result<()> {
    let model = library.import(file, id).await?;
    writeln!(io::stdout(), "{}", installed_line(&model))?;
    Ok(())
}

#[cfg(not(feature = "mistral"))]
async fn import(_library: &Library, _file: &Path, _id: Option<&str>) -> anyhow::Result<()> {
    Err(crate::models::error::ModelError::NoEngine.into())
}

fn installed_line(model: &InstalledModel) -> String {
    format!(
        "{} installed: {} {}, context {} tokens, license {}",
        model.id, model.architecture, model.quantization, model.context_length, model.license
    )
}

fn list(library: &Library, json: bool) -> anyhow::Result<()> {
    let catalog = Catalog::built_in()?;
    let installed = library.installed()?;
    if json {
        let lists = json!({ "installed": installed, "catalog": catalog.entries() });
        let text = serde_json::to_string_pretty(&lists).context("writing the lists as JSON")?;
        writeln!(io::stdout(), "{text}")?;
    } else {
        write!(io::stdout(), "{}", table(catalog.entries(), &installed))?;
    }
    Ok(())
}

/// One line a model: those of the catalog in its order, then those imported.
fn table(catalog: &[Entry], installed: &[InstalledModel]) -> String {
    let header = [
        "MODEL",
        "KIND",
        "INSTALLED",
        "SIZE",
        "QUANT",
        "CONTEXT",
        "LICENSE",
        "TESTED",
    ];
    let mut rows = vec![header.map(str::to_owned)];
    for entry in catalog {
        let here = installed.iter().find(|model| model.id == entry.id);
        rows.push([
            entry.id.clone(),
            entry.kind.as_str().into(),
            if here.is_some() { "yes" } else { "-" }.into(),
            entry.parameters.clone(),
            here.map_or(&entry.quantization, |model| &model.quantization)
                .clone(),
            here.map_or(entry.context_length, |model| model.context_length)
                .to_string(),
            entry.license.clone(),
            if entry.tested { "yes" } else { "no" }.into(),
        ]);
    }
    let imported = |model: &&InstalledModel| catalog.iter().all(|entry| entry.id != model.id);
    for model in installed.iter().filter(imported) {
        rows.push([
            model.id.clone(),
            model.kind.as_str().into(),
            "yes".into(),
            "-".into(),
            model.quantization.clone(),
            model.context_length.to_string(),
            model.license.clone(),
            "-".into(),
        ]);
    }
    let mut widths = [0; 8];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ModelKind;

    #[test]
    fn the_table_shows_what_is_known_and_what_is_here() {
        let catalog = Catalog::built_in().expect("a catalog");
        let model = InstalledModel {
            id: "mine".into(),
            weights: "w.gguf".into(),
            weights_sha256: String::new(),
            kind: ModelKind::Chat,
            architecture: "llama".into(),
            quantization: "Q8_0".into(),
            context_length: 2048,
            eos_token_ids: vec![0],
            bos_token_id: None,
            license: "mit".into(),
            owned_by: "local".into(),
            created: 0,
            dir: PathBuf::new(),
        };
        let default = InstalledModel {
            id: crate::models::DEFAULT_MODEL.into(),
            ..model.clone()
        };
        let text = table(catalog.entries(), &[default, model]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), catalog.entries().len() + 2);
        assert!(lines[0].starts_with("MODEL"));
        assert!(lines[1].contains("yes") && lines[1].contains("Q8_0"));
        assert!(lines[2].contains("-"));
        assert!(lines[lines.len() - 1].starts_with("mine"));
    }
}
