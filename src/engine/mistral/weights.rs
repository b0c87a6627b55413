//! Loads a model's weights and starts mistralrs on them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use candle_core::{Device, Result as CandleResult};
use mistralrs::core::{
    AutoDeviceMapParams, DeviceMapSetting, GGUFLoaderBuilder, GGUFSpecificConfig, Pipeline,
};
use mistralrs::{ModelDType, TokenSource};

use super::lane::{Lane, SharedPipeline};
use super::reuse::store::LayerState;
use super::steer::ReadState;
use crate::huge_pages;
use crate::models::InstalledModel;

/// A model in memory, ready to run sequences.
pub struct Weights {
    /// For requests that reuse nothing.
    pub plain: Lane,
    /// For requests that reuse stored prompt state.
    pub reuse: Lane,
    pub read_state: ReadState,
    /// A token that ends a sequence in mistralrs' own eyes.
    pub end_token: u32,
}

/// The model cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[error("model `{id}` cannot be loaded: {reason}")]
pub struct LoadError {
    pub id: String,
    pub reason: String,
}

impl Weights {
    /// Reads the files of an installed model; never the network. Blocks for seconds.
    ///
    /// # Errors
    /// When a file is missing or mistralrs refuses it, also by a panic.
    pub fn load(model: &InstalledModel) -> Result<Self, LoadError> {
        let fail = |reason: String| LoadError {
            id: model.id.clone(),
            reason,
        };
        // A missing file sends mistralrs to the network.
        for file in [
            model.weights.as_str(),
            "tokenizer.json",
            "tokenizer_config.json",
        ] {
            let path = model.dir.join(file);
            if !path.is_file() {
                return Err(fail(format!("{} is missing", path.display())));
            }
        }
        huge_pages::allow(true);
        let loaded = catch_unwind(AssertUnwindSafe(|| Self::load_files(model)));
        huge_pages::allow(false);
        loaded
            .unwrap_or_else(|panic| Err(panic_text(&*panic)))
            .map_err(fail)
    }

    fn load_files(model: &InstalledModel) -> Result<Self, String> {
        let dir = model
            .dir
            .to_str()
            .ok_or("the model's path is not valid UTF-8")?
            .to_owned();
        let loader = GGUFLoaderBuilder::new(
            None,
            Some(dir.clone()),
            dir,
            vec![model.weights.clone()],
            GGUFSpecificConfig::default(),
            false,
            None,
        )
        .build();
        let pipeline: SharedPipeline = loader
            .load_model_from_hf(
                None,
                TokenSource::None,
                &ModelDType::F32,
                &Device::Cpu,
                true,
                DeviceMapSetting::Auto(AutoDeviceMapParams::default_text()),
                None,
                None,
            )
            .map_err(|error| format!("{error:#}"))?;
        let (read_state, end_token) = {
            let pipeline = pipeline
                .try_lock()
                .map_err(|_| "the weights are in use already")?;
            let end_token = pipeline
                .get_metadata()
                .eos_tok
                .first()
                .copied()
                .ok_or("the tokenizer names no end token")?;
            (reader_of(&*pipeline), end_token)
        };
        let lane =
            |prefix_cache| Lane::build(&pipeline, prefix_cache).map_err(|error| error.to_string());
        Ok(Self {
            plain: lane(false)?,
            reuse: lane(true)?,
            read_state,
            end_token,
        })
    }
}

/// mistralrs keeps the state of the sequence it computes in one place behind a lock of its own.
fn reader_of(pipeline: &dyn Pipeline) -> ReadState {
    let cache = pipeline.cache().clone();
    Arc::new(move || -> CandleResult<Vec<LayerState>> {
        let missing = || candle_core::Error::Msg("a layer has no state".into());
        cache
            .normal()
            .0
            .iter()
            .map(|layer| {
                Ok((
                    layer.k()?.ok_or_else(missing)?,
                    layer.v()?.ok_or_else(missing)?,
                ))
            })
            .collect()
    })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the engine panicked".into())
}
