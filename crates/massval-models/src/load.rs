//! From a path to a model that can run: config, weights, tokenizer, and what became of each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use massval_quant::formats::QuantizationConfig;
use massval_quant::{ActivationQuantizer, ActivationRange};
use serde::Serialize;

use crate::arch::{self, Described, StoredBlock};
use crate::config::DecoderConfig;
use crate::decoder::stream::Stream;
use crate::decoder::{Decoder, InputRounding, LinearGroup, Progress, StreamOptions, build};
use crate::tokenizer::Tokenizer;
use crate::weights::{LoadReport, Weights};
use crate::{Error, Result};

/// A decoder and its tokenizer, loaded from one checkpoint.
#[derive(Debug)]
pub struct Model {
    decoder: Decoder,
    tokenizer: Option<Tokenizer>,
    checkpoint: Checkpoint,
}

/// What a checkpoint is, and what was made of it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Checkpoint {
    /// The folder or file that was asked for.
    pub path: PathBuf,
    /// What it goes by, if not by its path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where the folder came from, if a hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub: Option<HubOrigin>,
    /// `safetensors`, `PyTorch` or `GGUF`.
    pub format: &'static str,
    /// The files that hold the weights.
    pub files: Vec<PathBuf>,
    /// The model that the config describes.
    pub config: DecoderConfig,
    /// How many tensors are stored in each type.
    pub stored: BTreeMap<String, usize>,
    /// Size of all stored tensors, in bytes.
    pub bytes: u64,
    /// Fields of the config that nobody read; none of them is known to change the arithmetic.
    pub unread_fields: Vec<String>,
    /// Entries of PyTorch files that are no tensors, such as a step count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
    /// How the linears are quantized, if they are; they are dequantized when they are loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantization: Option<QuantizationConfig>,
    /// The matrices of each block, by their names in the files.
    #[serde(skip)]
    pub blocks: Vec<StoredBlock>,
    /// What was applied, missing, unused or of the wrong shape.
    pub report: LoadReport,
}

/// The model and the commit that a folder holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HubOrigin {
    /// The model, `org/name`.
    pub name: String,
    /// The commit's hash, whatever branch or tag was asked for.
    pub commit: String,
}

impl Model {
    /// Loads a Hugging Face folder (`config.json`, `*.safetensors` or `*.bin`, `tokenizer.json`), one
    /// of its files of weights, or a `.gguf`.
    ///
    /// # Memory
    /// The weights, decoded to `dtype`, and one tensor in f32 on top.
    ///
    /// # Errors
    /// Whatever is wrong with the files, by file and field; [`Error::Weights`] unless every tensor of
    /// the model was found in its shape and none was left over.
    pub fn load(
        path: &Path,
        device: &Device,
        dtype: DType,
        progress: Progress<'_>,
    ) -> Result<Self> {
        check_dtype(device, dtype)?;
        let opened = Opened::new(path)?;
        let tokenizer = opened.checked_tokenizer()?;
        let (decoder, mut report) = build::build(
            &opened.described.config,
            &opened.described.names,
            &opened.weights,
            build::Target { device, dtype },
            progress,
        )?;
        if !report.is_clean() {
            opened.described.explain(&mut report);
            return Err(Error::Weights { path: path.to_owned(), report: Box::new(report) });
        }
        let decoder = decoder.with_input_rounding(opened.rounding()?);
        Ok(Self { decoder, tokenizer, checkpoint: opened.checkpoint(report) })
    }

    /// Opens a checkpoint whose blocks are read when a pass comes to them, one in memory at a time: for models that
    /// are larger than memory. What is computed is the same, bit for bit; each pass reads the checkpoint once, so that
    /// passes had better run [together](Decoder::together).
    ///
    /// # Memory
    /// Embedding, head and final norm, and one block; see [`Checkpoint::memory`].
    ///
    /// # Errors
    /// As [`Model::load`]; of numbers that are not finite, when their block is read.
    pub fn stream(
        path: &Path,
        device: &Device,
        dtype: DType,
        options: StreamOptions,
        progress: Progress<'_>,
    ) -> Result<Self> {
        check_dtype(device, dtype)?;
        let opened = Opened::new(path)?;
        let tokenizer = opened.checked_tokenizer()?;
        let Described { config, names, .. } = &opened.described;
        let mut report = build::dry_run(config, names, &opened.weights)?;
        if !report.is_clean() {
            opened.described.explain(&mut report);
            return Err(Error::Weights { path: path.to_owned(), report: Box::new(report) });
        }
        let target = build::Target { device, dtype };
        let decoder = build::without_blocks(config, names, &opened.weights, target, progress)?;
        opened.weights.release();
        let decoder = decoder.with_input_rounding(opened.rounding()?);
        let checkpoint = opened.checkpoint(report);
        let Described { config, names, .. } = opened.described;
        let stream = Stream::new(config, names, opened.weights, target, options)?;
        Ok(Self { decoder: decoder.streamed(stream), tokenizer, checkpoint })
    }

    /// The decoder.
    #[must_use]
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// Goes by a name of its own, where its path says nothing: results are signed with it.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.checkpoint.name = Some(name.into());
        self
    }

    #[cfg(feature = "hub")]
    pub(crate) fn with_hub(mut self, origin: HubOrigin) -> Self {
        self.checkpoint.hub = Some(origin);
        self
    }

    /// What it was loaded from.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The tokenizer.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if the checkpoint came without one.
    pub fn tokenizer(&self) -> Result<&Tokenizer> {
        self.tokenizer.as_ref().ok_or_else(|| Error::Tokenizer {
            path: self.checkpoint.path.clone(),
            what: "the checkpoint has none; add its tokenizer.json, or give token ids".to_owned(),
        })
    }

    /// Whether the checkpoint came with a tokenizer.
    #[must_use]
    pub fn has_tokenizer(&self) -> bool {
        self.tokenizer.is_some()
    }
}

impl Checkpoint {
    /// Reads a checkpoint's headers and says what [`Model::load`] would make of it, without decoding
    /// a weight. The report may be anything but clean.
    ///
    /// # Errors
    /// As [`Model::load`], except for [`Error::Weights`].
    pub fn inspect(path: &Path) -> Result<Self> {
        let opened = Opened::new(path)?;
        let described = &opened.described;
        let mut report = build::dry_run(&described.config, &described.names, &opened.weights)?;
        opened.described.explain(&mut report);
        Ok(opened.checkpoint(report))
    }
}

/// A checkpoint whose headers and config have been read.
struct Opened {
    path: PathBuf,
    weights: Weights,
    described: Described,
}

impl Opened {
    fn new(path: &Path) -> Result<Self> {
        let weights = Weights::open(path)?;
        let described = match weights.gguf() {
            Some(metadata) => arch::read_gguf(path, &weights, metadata)?,
            None => {
                let config = config_path(path);
                let json = crate::tokenizer::read_text(&config)?;
                let map = arch::parse(&config, &json)?;
                arch::read(&config, &map)?
            }
        };
        let weights = match &described.quantization {
            Some(config) => weights.with_packed(config)?,
            None => weights,
        };
        weights.refuse_quantized()?;
        Ok(Self { path: path.to_owned(), weights, described })
    }

    /// What the files store of each block.
    fn blocks(&self) -> Vec<StoredBlock> {
        let Described { config, names, .. } = &self.described;
        arch::stored_blocks(config, names, build::prefix(names, &self.weights))
    }

    /// How the inputs of linears are rounded.
    fn rounding(&self) -> Result<InputRounding> {
        let mut rounding = InputRounding::default();
        let scheme = self.described.quantization.as_ref().and_then(|config| config.activations);
        let Some(scheme) = scheme else { return Ok(rounding) };
        for (layer, block) in self.blocks().iter().enumerate() {
            for group in LinearGroup::ALL {
                let mut found: Vec<Option<ActivationQuantizer>> = Vec::new();
                for linear in block.linears.iter().filter(|linear| linear.group() == group) {
                    let name = format!("{}.weight", linear.name);
                    let packed = self.weights.info(&name).is_some_and(|info| {
                        matches!(info.dtype, crate::weights::StoredType::Packed(_))
                    });
                    found.push(match scheme.range {
                        _ if !packed => None,
                        ActivationRange::PerToken => Some(scheme.dynamic()),
                        ActivationRange::PerTensor => self.weights.input_quantizer(&name)?,
                    });
                }
                if found.windows(2).any(|pair| pair.first() != pair.last()) {
                    let what = format!(
                        "layer {layer}: the linears {group:?} round the input that they share each in another \
                         way, which massval does not compute"
                    );
                    return Err(Error::Unsupported { path: self.path.clone(), what });
                }
                if let Some(quantizer) = found.into_iter().next().flatten() {
                    rounding.insert(layer, group, quantizer);
                }
            }
        }
        Ok(rounding)
    }

    fn tokenizer(&self) -> Result<Option<Tokenizer>> {
        match self.weights.gguf() {
            Some(metadata) => Tokenizer::from_gguf(&self.path, metadata).map(Some),
            None => {
                let folder = config_path(&self.path);
                let folder = folder.parent().unwrap_or(&self.path);
                match folder.join("tokenizer.json").exists() {
                    true => Tokenizer::from_folder(folder).map(Some),
                    false => Ok(None),
                }
            }
        }
    }

    /// The tokenizer, if it is one of this model.
    fn checked_tokenizer(&self) -> Result<Option<Tokenizer>> {
        let tokenizer = self.tokenizer()?;
        if let Some(tokenizer) = &tokenizer {
            tokenizer.check_vocab(self.described.config.vocab_size)?;
        }
        Ok(tokenizer)
    }

    fn checkpoint(&self, report: LoadReport) -> Checkpoint {
        let mut stored = BTreeMap::new();
        for tensor in self.weights.tensors() {
            *stored.entry(tensor.dtype.to_string()).or_insert(0) += 1;
        }
        Checkpoint {
            path: self.path.clone(),
            name: None,
            hub: None,
            format: self.weights.format().name(),
            files: self.weights.files().to_vec(),
            config: self.described.config.clone(),
            stored,
            bytes: self.weights.total_bytes(),
            skipped: self.weights.skipped().to_vec(),
            unread_fields: self.described.unread.clone(),
            quantization: self.described.quantization.clone(),
            blocks: self.blocks(),
            report,
        }
    }
}

fn check_dtype(device: &Device, dtype: DType) -> Result<()> {
    if device.supports_dtype(dtype) {
        return Ok(());
    }
    let what = format!("does not compute in {dtype:?}; choose another dtype");
    Err(Error::Device { device: format!("{device:?}"), what })
}

/// `config.json` of a folder, or beside a single safetensors file.
fn config_path(path: &Path) -> PathBuf {
    match path.is_dir() {
        true => path.join("config.json"),
        false => path.with_file_name("config.json"),
    }
}
