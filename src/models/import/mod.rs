//! From a GGUF file to a directory that the engine loads: weights it is fast with, and a tokenizer
//! and a template that say exactly what the file's metadata says.

mod embedding;
mod gguf;
#[cfg(test)]
mod golden;
mod pretokenizer;
mod requantize;
#[cfg(test)]
mod tests;
mod tokenizer;

use std::fs;
use std::path::Path;

use serde_json::Value;

pub use self::embedding::embedding;
use self::gguf::Gguf;
use self::tokenizer::GgufTokenizer;
use super::digest;
use super::error::{ModelError, Part, Refusal};
use super::{InstalledModel, ModelKind};
use crate::engine::mistral::template::{ChatTemplate, Conversation, RenderError};
use crate::engine::{Message, Role};

/// Values of `general.architecture` that the engine has a model for.
const ARCHITECTURES: &[&str] = &[
    "llama",
    "mistral3",
    "phi2",
    "phi3",
    "qwen2",
    "qwen3",
    "qwen3moe",
    "starcoder2",
];
/// Where a file stretches its context by a method that the engine does not know, and does not say
/// how far it reaches without.
const UNSTRETCHED: u32 = 8192;

/// What a model is to be called, and what its file may not know.
#[derive(Debug, Clone)]
pub struct Identity {
    pub id: String,
    pub license: Option<String>,
    pub owned_by: Option<String>,
    /// Unix seconds.
    pub created: i64,
}

/// Whether the original may be shared or must be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Original {
    /// Ours, never written again: a hard link will do.
    Cached,
    /// Somebody else's.
    Foreign,
}

/// Fills `dir`, which exists and is empty, with everything but the manifest.
///
/// # Errors
/// [`ModelError::Refused`] names the part of the file that the engine cannot load.
pub fn convert(
    file: &Path,
    original: Original,
    identity: Identity,
    dir: &Path,
) -> Result<InstalledModel, ModelError> {
    let mut gguf = Gguf::open(file)?;
    let refused = |refusal| ModelError::Refused {
        file: file.display().to_string(),
        refusal,
    };
    check_complete(&gguf, file)?;
    let architecture = architecture(&gguf).map_err(refused)?;
    let tokenizer = GgufTokenizer::read(&gguf).map_err(refused)?;
    check_vocabulary(&gguf, &tokenizer).map_err(refused)?;
    let template = chat_template(&gguf, &tokenizer).map_err(refused)?;
    let context_length = context_length(&gguf, &architecture).map_err(refused)?;
    let from_file = |key| gguf.text(key).map(str::to_owned);
    let license = identity.license.or_else(|| from_file("general.license"));
    let owned_by = (identity.owned_by).or_else(|| from_file("general.organization"));

    write(&dir.join("chat_template.jinja"), template.as_bytes())?;
    write_json(&dir.join("tokenizer.json"), &tokenizer.to_json())?;
    write_json(
        &dir.join("tokenizer_config.json"),
        &tokenizer.to_config(&template),
    )?;

    let quantization = if requantize::is_worthwhile(&gguf) {
        "Q8_0".to_owned()
    } else {
        quantization(&gguf)
    };
    let weights = format!("{}.{quantization}.gguf", identity.id);
    let target = dir.join(&weights);
    if requantize::is_worthwhile(&gguf) {
        requantize::rewrite(&mut gguf, &target)?;
    } else {
        place(file, original, &target)?;
    }
    Ok(InstalledModel {
        id: identity.id,
        weights_sha256: digest::of_file(&target)?,
        weights,
        kind: ModelKind::Chat,
        architecture,
        quantization,
        context_length,
        eos_token_ids: tokenizer.ends(),
        bos_token_id: tokenizer.bos.filter(|_| tokenizer.add_bos),
        license: license.unwrap_or_else(|| "unknown".into()),
        owned_by: owned_by.unwrap_or_else(|| "local".into()),
        created: identity.created,
        dir: dir.to_path_buf(),
    })
}

/// A file that ends early is best found out before anybody waits for it to load.
fn check_complete(gguf: &Gguf, file: &Path) -> Result<(), ModelError> {
    if gguf.number("split.count").is_some_and(|parts| parts > 1) {
        return Err(ModelError::Refused {
            file: file.display().to_string(),
            refusal: Refusal::new(Part::Format, "it is one part of several; merge them first"),
        });
    }
    let length = fs::metadata(file).map_err(ModelError::io(file))?.len();
    for (name, info) in &gguf.content.tensor_infos {
        let blocks = info.shape.elem_count() / info.ggml_dtype.block_size();
        let size = (blocks as u64).saturating_mul(info.ggml_dtype.type_size() as u64);
        let start = gguf.content.tensor_data_offset.saturating_add(info.offset);
        if start.saturating_add(size) > length {
            return Err(ModelError::Damaged {
                path: file.to_path_buf(),
                reason: format!("it ends before '{name}' does"),
            });
        }
    }
    Ok(())
}

fn architecture(gguf: &Gguf) -> Result<String, Refusal> {
    let refuse = |reason| Err(Refusal::new(Part::Architecture, reason));
    match gguf.text("general.architecture") {
        Some(name) if ARCHITECTURES.contains(&name) => Ok(name.to_owned()),
        Some(name) => refuse(format!(
            "'{name}' is not one of {}",
            ARCHITECTURES.join(", ")
        )),
        None => refuse("the file has no 'general.architecture'".into()),
    }
}

/// The embedding table must have a row for every token; a row too many does no harm.
fn check_vocabulary(gguf: &Gguf, tokenizer: &GgufTokenizer) -> Result<(), Refusal> {
    let rows = (gguf.content.tensor_infos.get("token_embd.weight"))
        .and_then(|info| info.shape.dims().first().copied());
    match rows {
        Some(rows) if rows >= tokenizer.len() => Ok(()),
        Some(rows) => Err(Refusal::new(
            Part::Tokenizer,
            format!("it has {} tokens, the weights {rows}", tokenizer.len()),
        )),
        None => Err(Refusal::new(
            Part::Format,
            "it holds no weights ('token_embd.weight')",
        )),
    }
}

/// The template, once it has proved that it can render a plain question.
fn chat_template(gguf: &Gguf, tokenizer: &GgufTokenizer) -> Result<String, Refusal> {
    let refuse = |reason: String| Refusal::new(Part::Template, reason);
    let source = (gguf.text("tokenizer.chat_template"))
        .ok_or_else(|| refuse("the file has none, so it cannot hold a conversation".into()))?;
    let text = |id: Option<u32>| id.and_then(|id| tokenizer.token(id)).map(str::to_owned);
    let question = [Message::new(Role::User, "Hello")];
    ChatTemplate::new(source.to_owned(), text(tokenizer.bos), text(tokenizer.eos))
        .and_then(|template| template.render(&Conversation::of(&question)))
        .map_err(|error: RenderError| refuse(error.to_string()))?;
    Ok(source.to_owned())
}

/// The engine ignores the ways of stretching a context that files describe (YaRN, Llama 3's
/// frequency factors), so such models are good for the length they were first trained with.
fn context_length(gguf: &Gguf, architecture: &str) -> Result<u32, Refusal> {
    let key = |name: &str| format!("{architecture}.{name}");
    let stated = gguf.number(&key("context_length")).ok_or_else(|| {
        Refusal::new(
            Part::Format,
            format!("the file has no '{}'", key("context_length")),
        )
    })?;
    let scaled = (gguf.text(&key("rope.scaling.type"))).is_some_and(|kind| kind != "none");
    let stretched = scaled || gguf.content.tensor_infos.contains_key("rope_freqs.weight");
    if !stretched {
        return Ok(stated);
    }
    let original = gguf.number(&key("rope.scaling.original_context_length"));
    Ok(stated.min(original.unwrap_or(UNSTRETCHED)))
}

/// The name of `general.file_type`:
/// <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#general-metadata>.
fn quantization(gguf: &Gguf) -> String {
    let named = match gguf.number("general.file_type") {
        Some(0) => "F32",
        Some(1) => "F16",
        Some(7) => "Q8_0",
        Some(10) => "Q2_K",
        Some(11) => "Q3_K_S",
        Some(12) => "Q3_K_M",
        Some(13) => "Q3_K_L",
        Some(14) => "Q4_K_S",
        Some(15) => "Q4_K_M",
        Some(16) => "Q5_K_S",
        Some(17) => "Q5_K_M",
        Some(18) => "Q6_K",
        Some(32) => "BF16",
        _ => "mixed",
    };
    named.to_owned()
}

fn place(file: &Path, original: Original, target: &Path) -> Result<(), ModelError> {
    if original == Original::Cached && fs::hard_link(file, target).is_ok() {
        return Ok(());
    }
    fs::copy(file, target).map_err(ModelError::io(target))?;
    Ok(())
}

fn write_json(path: &Path, value: &Value) -> Result<(), ModelError> {
    let json = serde_json::to_vec(value).map_err(|error| ModelError::Convert(error.to_string()))?;
    write(path, &json)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    fs::write(path, bytes).map_err(ModelError::io(path))
}
