//! Writes a linear in every checkpoint format, with the weight that it stands for, for
//! `scripts/check_formats.py` to read with other programs.
//!
//! usage: write_formats FOLDER

use std::path::Path;

use massval_quant::formats::{Format, Layout, QuantizationConfig};
use massval_quant::{Granularity, QuantizedLinear, ScaleType, Weight, WeightScheme, rtn};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

const NAME: &str = "proj";
const SHAPE: [usize; 2] = [96, 192];

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).ok_or("usage: write_formats FOLDER")?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    for format in Format::ALL {
        for &bits in format.bits() {
            for symmetric in [true, false] {
                for granularity in [Granularity::Channel, Granularity::group(64)?] {
                    write(folder, Layout { format, bits, granularity, symmetric })?;
                }
            }
        }
    }
    Ok(())
}

fn write(folder: &Path, layout: Layout) -> Result<()> {
    let linear = linear(&layout)?;
    let tensors = layout.pack(&linear)?;
    let bytes: Vec<u8> = linear.dequantize().into_iter().flat_map(f32::to_le_bytes).collect();
    let mut views: Vec<(&str, TensorView<'_>)> =
        vec![("dequantized", TensorView::new(Dtype::F32, SHAPE.to_vec(), &bytes)?)];
    for tensor in &tensors {
        let view = TensorView::new(tensor.dtype(), tensor.shape().to_vec(), tensor.bytes())?;
        views.push((tensor.name(), view));
    }
    let grouped = if layout.granularity == Granularity::Channel { "channel" } else { "group" };
    let symmetric = if layout.symmetric { "symmetric" } else { "asymmetric" };
    let name = format!("{}-{}-{symmetric}-{grouped}", layout.format, layout.bits);
    let config = QuantizationConfig::new(layout).to_json()?;
    std::fs::write(folder.join(format!("{name}.json")), serde_json::to_vec_pretty(&config)?)?;
    let file = safetensors::serialize(views, None)?;
    std::fs::write(folder.join(format!("{name}.safetensors")), file)?;
    Ok(())
}

fn linear(layout: &Layout) -> Result<QuantizedLinear> {
    let number = |i: usize| ((i * 2_654_435_761) % 10_007) as f32 / 5000.0 - 1.0;
    let values: Vec<f32> = (0..SHAPE[0] * SHAPE[1]).map(number).collect();
    let scheme = WeightScheme::new(layout.bits, layout.granularity).scales(ScaleType::F16);
    let scheme = if layout.symmetric { scheme } else { scheme.asymmetric() };
    Ok(rtn(&Weight::new(NAME, SHAPE, &values)?, &scheme)?)
}
