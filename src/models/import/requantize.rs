//! Rewrites weights that have no fast processor kernel.
//!
//! Matrix products over Q4_0, Q4_1, Q5_0 and Q5_1 run row by row; over Q8_0 they are tiled and
//! vectorized. Eight bits hold nearly all of what four or five said (on the default model the
//! difference is 0.55 % of the weights' root mean square), so such tensors become Q8_0 once, when a
//! model is installed.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use candle_core::Device;
use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};

use super::gguf::Gguf;
use crate::models::error::ModelError;

const FILE_TYPE: &str = "general.file_type";
const ALIGNMENT: &str = "general.alignment";
/// `general.file_type` of files that are mostly Q8_0.
const MOSTLY_Q8_0: u32 = 7;

/// Whether any tensor of the file is worth rewriting.
pub fn is_worthwhile(gguf: &Gguf) -> bool {
    (gguf.content.tensor_infos.values()).any(|info| is_slow(info.ggml_dtype, info.shape.dims()))
}

/// Writes a copy of the file to `target`, slow tensors as Q8_0 and everything else as it is. The
/// same file gives the same bytes. The whole result is held in memory meanwhile.
///
/// # Errors
/// A damaged file, or a target that cannot be written.
pub fn rewrite(gguf: &mut Gguf, target: &Path) -> Result<(), ModelError> {
    let failed = |error: candle_core::Error| ModelError::Convert(format!("converting: {error}"));
    let mut names: Vec<String> = gguf.content.tensor_infos.keys().cloned().collect();
    names.sort_by_key(|name| gguf.content.tensor_infos[name].offset);
    let mut tensors = Vec::with_capacity(names.len());
    for name in &names {
        let tensor = (gguf.content.tensor(&mut gguf.reader, name, &Device::Cpu)).map_err(failed)?;
        tensors.push(to_fast(tensor).map_err(failed)?);
    }

    let file_type = Value::U32(MOSTLY_Q8_0);
    // The writer aligns to the default of 32 bytes.
    let mut metadata: Vec<(&str, &Value)> = (gguf.content.metadata.iter())
        .map(|(key, value)| (key.as_str(), value))
        .filter(|(key, _)| ![FILE_TYPE, ALIGNMENT].contains(key))
        .chain([(FILE_TYPE, &file_type)])
        .collect();
    metadata.sort_by_key(|(key, _)| *key);
    let tensors: Vec<(&str, &QTensor)> = names.iter().map(String::as_str).zip(&tensors).collect();

    let file = File::create(target).map_err(ModelError::io(target))?;
    let mut writer = BufWriter::new(file);
    gguf_file::write(&mut writer, &metadata, &tensors).map_err(failed)?;
    writer.flush().map_err(ModelError::io(target))
}

fn to_fast(tensor: QTensor) -> candle_core::Result<QTensor> {
    if !is_slow(tensor.dtype(), tensor.shape().dims()) {
        return Ok(tensor);
    }
    QTensor::quantize(&tensor.dequantize(&Device::Cpu)?, GgmlDType::Q8_0)
}

/// Rows that do not fill whole Q8_0 blocks stay as they are.
fn is_slow(dtype: GgmlDType, dims: &[usize]) -> bool {
    let slow = matches!(
        dtype,
        GgmlDType::Q4_0 | GgmlDType::Q4_1 | GgmlDType::Q5_0 | GgmlDType::Q5_1
    );
    let fits = dims
        .last()
        .is_some_and(|row| row.is_multiple_of(GgmlDType::Q8_0.block_size()));
    slow && fits
}
