//! `massval convert`.

use massval::quant::formats::Format;
use massval::quantize::ConvertOptions;

use super::model::check_folder;
use crate::args::{Convert, quantized_format};
use crate::output::{Done, Failure, plural, tell};
use crate::progress::Progress;
use crate::source::Source;

pub fn run(args: &Convert) -> Done {
    check_folder(&args.out)?;
    let source = Source::new(&args.name)?;
    let info = source.inspect()?;
    let Some(config) = &info.quantization else {
        let what = "is not quantized, so there is nothing to convert; see `massval quantize`";
        let name = info.name.clone().unwrap_or_else(|| source.path().display().to_string());
        return Err(Failure::Work(format!("{name}: {what}")));
    };
    let activations = config.activations.is_some() || config.layout.format == Format::IntQuantized;
    let format = quantized_format(&args.format, config.layout.bits, activations);
    let mut options = ConvertOptions::new(format);
    options.round_scales = args.round_scales;
    let mut progress = Progress::new("blocks");
    let count =
        massval::quantize::convert(source.path(), &args.out, &options, &mut |done, all| {
            progress.at(done, all);
        })?;
    progress.finish();
    let linears = plural(count, "linear");
    tell(&format_args!("wrote {}: {linears} as {format}", args.out.display()));
    Ok(())
}
