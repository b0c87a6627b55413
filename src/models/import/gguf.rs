//! Typed access to the metadata of a GGUF file.
//! Keys: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use candle_core::quantized::gguf_file::{Content, Value};

use crate::models::error::{ModelError, Part, Refusal};

/// An open GGUF file whose header has been read.
pub struct Gguf {
    pub content: Content,
    pub reader: BufReader<File>,
}

impl Gguf {
    /// Reads the header; weights stay on disk.
    ///
    /// # Errors
    /// The file cannot be opened, or is no GGUF file that the engine could read.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let file = File::open(path).map_err(ModelError::io(path))?;
        let mut reader = BufReader::new(file);
        let content = Content::read(&mut reader).map_err(|error| {
            let reason = error.to_string();
            let part = if reason.contains("unknown dtype") {
                Part::Quantization
            } else {
                Part::Format
            };
            ModelError::Refused {
                file: path.display().to_string(),
                refusal: Refusal::new(part, reason),
            }
        })?;
        Ok(Self { content, reader })
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        match self.content.metadata.get(key)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn flag(&self, key: &str) -> Option<bool> {
        self.content.metadata.get(key)?.to_bool().ok()
    }

    /// A number of any integer type, if it is a `u32`.
    pub fn number(&self, key: &str) -> Option<u32> {
        as_u32(self.content.metadata.get(key)?)
    }

    pub fn texts(&self, key: &str) -> Option<Vec<&str>> {
        self.array(key)?
            .iter()
            .map(|value| match value {
                Value::String(text) => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }

    pub fn numbers(&self, key: &str) -> Option<Vec<u32>> {
        self.array(key)?.iter().map(as_u32).collect()
    }

    fn array(&self, key: &str) -> Option<&[Value]> {
        match self.content.metadata.get(key)? {
            Value::Array(values) => Some(values),
            _ => None,
        }
    }
}

fn as_u32(value: &Value) -> Option<u32> {
    match *value {
        Value::U8(n) => Some(n.into()),
        Value::U16(n) => Some(n.into()),
        Value::U32(n) => Some(n),
        Value::U64(n) => n.try_into().ok(),
        Value::I8(n) => n.try_into().ok(),
        Value::I16(n) => n.try_into().ok(),
        Value::I32(n) => n.try_into().ok(),
        Value::I64(n) => n.try_into().ok(),
        _ => None,
    }
}
