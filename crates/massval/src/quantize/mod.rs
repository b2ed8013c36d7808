//! From a model to a quantized checkpoint: calibration, one block after the other, files that others load.
//!
//! It lives here and not in `massval-quant` because it needs the decoder, the quantizers, sets of texts and
//! findings together; `massval-quant` stands below the decoder, which reads its formats.

mod block;
mod calibration;
mod card;
mod checkpoint;
mod convert;
mod options;
mod plan;
mod protect;
mod recipe;
mod run;
mod statistics;
mod tensor;
mod work;

pub use calibration::{CalibrationOptions, CalibrationRecord, CalibrationSet, calibrate};
pub use convert::{ConvertOptions, convert};
pub use options::{Method, Protection, QuantizeOptions, Smoothing};
pub use plan::{QuantizePlan, quantize_plan};
pub use protect::protected_channels;
pub use recipe::read_recipe;
pub use run::{LinearLog, QuantizeResult, Score, Scorer, quantize};
