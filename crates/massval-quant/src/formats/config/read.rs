//! What other programs have written, taken only as far as it is understood.

use serde_json::Value;

use super::fields::Fields;
use super::{ActivationOrder, ParsedConfig, QuantizationConfig};
use crate::formats::{Format, Layout};
use crate::{ActivationScheme, Bits, Granularity, Result};

pub(super) fn config(json: &Value) -> Result<ParsedConfig> {
    let fields = Fields::new(json, "")?;
    let method = fields.text("quant_method")?;
    // GPTQ's own `quantize_config.json` may say no method.
    let config = match method {
        Some("compressed-tensors") => compressed(&fields)?,
        Some("awq") => awq(&fields)?,
        Some("gptq") => gptq(&fields)?,
        None if fields.get("desc_act").is_some() => gptq(&fields)?,
        None => return Err(fields.missing("quant_method")),
        Some(other) => {
            let known = "compressed-tensors, awq and gptq are known";
            return Err(fields.wrong("quant_method", format!("is `{other}`; {known}")));
        }
    };
    Ok(ParsedConfig { config, unread: fields.unread() })
}

fn compressed(fields: &Fields<'_>) -> Result<QuantizationConfig> {
    let format = match fields.text("format")? {
        Some("pack-quantized") => Format::PackQuantized,
        Some("int-quantized" | "naive-quantized") => Format::IntQuantized,
        Some(other) => {
            let known = "pack-quantized and int-quantized are known";
            return Err(fields.wrong("format", format!("is `{other}`; {known}")));
        }
        None => return Err(fields.missing("format")),
    };
    match fields.text("quantization_status")? {
        None | Some("compressed") => {}
        Some(other) => {
            let reason = format!("is `{other}`: the weights are not compressed");
            return Err(fields.wrong("quantization_status", reason));
        }
    }
    for (name, what) in [
        ("kv_cache_scheme", "a quantized cache"),
        ("sparsity_config", "sparse weights"),
        ("transform_config", "transforms"),
        ("moe_sparsity_config", "sparse experts"),
    ] {
        fields.refuse(name, what)?;
    }
    fields.get("global_compression_ratio");
    fields.get("version");
    let groups = fields.object("config_groups")?.ok_or_else(|| fields.missing("config_groups"))?;
    let mut found: Option<(Layout, Option<ActivationScheme>, ActivationOrder)> = None;
    for (name, group) in groups.keys() {
        let group = Fields::new(group, &format!("config_groups.{name}"))?;
        let settings = compressed_group(&group, format)?;
        if found.is_some_and(|found| found != settings) {
            let reason = "its groups differ; massval reads checkpoints with one setting";
            return Err(fields.wrong("config_groups", reason));
        }
        found = Some(settings);
    }
    let (layout, activations, order) = found.ok_or_else(|| fields.missing("config_groups"))?;
    Ok(QuantizationConfig {
        ignore: fields.texts("ignore")?,
        activations,
        order,
        ..QuantizationConfig::new(layout)
    })
}

fn compressed_group(
    group: &Fields<'_>,
    format: Format,
) -> Result<(Layout, Option<ActivationScheme>, ActivationOrder)> {
    group.refuse("output_activations", "rounded outputs")?;
    if let Some(own) = group.text("format")?
        && own != format.name()
    {
        return Err(group.wrong("format", format!("is `{own}`, the checkpoint's `{format}`")));
    }
    let weights = group.object("weights")?.ok_or_else(|| group.missing("weights"))?;
    integers_only(&weights)?;
    weights.refuse_flag("dynamic", "dynamic weights")?;
    weights.refuse("block_structure", "blocks over rows and columns")?;
    let granularity = match weights.text("strategy")? {
        Some("tensor") => Granularity::Tensor,
        Some("channel") => Granularity::Channel,
        Some("group") => group_of(&weights, "group_size")?,
        None if weights.get("group_size").is_some() => group_of(&weights, "group_size")?,
        None => Granularity::Tensor,
        Some(other) => {
            let known = "tensor, channel and group are known";
            return Err(weights.wrong("strategy", format!("is `{other}`; {known}")));
        }
    };
    let order = match weights.get("actorder") {
        None | Some(Value::Bool(false)) => ActivationOrder::None,
        Some(Value::Bool(true)) => ActivationOrder::Groups,
        Some(_) => match weights.text("actorder")? {
            Some("group" | "dynamic") => ActivationOrder::Groups,
            Some("weight" | "static") => ActivationOrder::Static,
            other => {
                let reason = format!("is `{}`; group and weight are known", other.unwrap_or(""));
                return Err(weights.wrong("actorder", reason));
            }
        },
    };
    let layout = Layout {
        format,
        bits: bits(&weights, "num_bits")?.unwrap_or(Bits::Eight),
        granularity,
        symmetric: weights.flag("symmetric")?.unwrap_or(true),
    };
    let activations = match group.object("input_activations")? {
        Some(inputs) => Some(activations(&inputs)?),
        None => None,
    };
    Ok((layout, activations, order))
}

fn activations(inputs: &Fields<'_>) -> Result<ActivationScheme> {
    integers_only(inputs)?;
    if bits(inputs, "num_bits")?.is_some_and(|bits| bits != Bits::Eight) {
        return Err(inputs.wrong("num_bits", "activations have 8 bits or none"));
    }
    if inputs.flag("symmetric")? == Some(false) {
        return Err(inputs.wrong("symmetric", "asymmetric activations are not supported"));
    }
    match (inputs.text("strategy")?, inputs.flag("dynamic")?.unwrap_or(false)) {
        (Some("token"), true) => Ok(ActivationScheme::per_token()),
        (Some("tensor") | None, false) => Ok(ActivationScheme::per_tensor()),
        _ => {
            let reason = "only dynamic per token and static per tensor are known";
            Err(inputs.wrong("strategy", reason))
        }
    }
}

fn integers_only(fields: &Fields<'_>) -> Result<()> {
    match fields.text("type")? {
        None | Some("int") => Ok(()),
        Some(other) => Err(fields.wrong("type", format!("is `{other}`; int is known"))),
    }
}

fn awq(fields: &Fields<'_>) -> Result<QuantizationConfig> {
    if let Some(version) = fields.text("version")?
        && !version.eq_ignore_ascii_case("gemm")
    {
        return Err(fields.wrong("version", format!("is `{version}`; gemm is known")));
    }
    let own = |new: &'static str, old| if fields.get(new).is_some() { new } else { old };
    let width = own("bits", "w_bit");
    let layout = Layout {
        format: Format::AwqGemm,
        bits: bits(fields, width)?.ok_or_else(|| fields.missing("bits"))?,
        granularity: group_of(fields, own("group_size", "q_group_size"))?,
        symmetric: !fields.flag("zero_point")?.unwrap_or(true),
    };
    let ignore = fields.texts("modules_to_not_convert")?;
    Ok(QuantizationConfig { ignore, ..QuantizationConfig::new(layout) })
}

fn gptq(fields: &Fields<'_>) -> Result<QuantizationConfig> {
    let names = [fields.text("checkpoint_format")?, fields.text("format")?];
    let mut names = names.into_iter().flatten();
    let name = names.next().unwrap_or("gptq");
    if names.any(|other| other != name) {
        return Err(fields.wrong("format", "is another than checkpoint_format"));
    }
    let format = match name {
        "gptq" => Format::GptqV1,
        "gptq_v2" => Format::GptqV2,
        other => {
            let reason = format!("is `{other}`; gptq and gptq_v2 are known");
            return Err(fields.wrong("checkpoint_format", reason));
        }
    };
    fields.refuse_flag("is_marlin_format", "Marlin's layout")?;
    if let Some(word) = fields.text("pack_dtype")?
        && word != "int32"
    {
        return Err(fields.wrong("pack_dtype", format!("is `{word}`; int32 is known")));
    }
    let mut ignore = Vec::new();
    if fields.flag("lm_head")? != Some(true) {
        ignore.push("lm_head".to_owned());
    }
    if let Some(rules) = fields.object("dynamic")? {
        for (rule, _) in rules.keys() {
            let Some(name) = rule.strip_prefix("-:") else {
                let reason = "has settings of its own for some linears; massval reads checkpoints \
                              with one setting";
                return Err(rules.wrong(rule, reason));
            };
            ignore.push(name.to_owned());
        }
    }
    let ordered = fields.flag("desc_act")?.unwrap_or(false);
    let fixed = fields.flag("static_groups")?.unwrap_or(false);
    let layout = Layout {
        format,
        bits: bits(fields, "bits")?.ok_or_else(|| fields.missing("bits"))?,
        granularity: group_of(fields, "group_size")?,
        symmetric: fields.flag("sym")?.unwrap_or(true),
    };
    Ok(QuantizationConfig {
        ignore,
        order: match (ordered, fixed) {
            (false, _) => ActivationOrder::None,
            (true, false) => ActivationOrder::Groups,
            (true, true) => ActivationOrder::Static,
        },
        damping: fields.number("damp_percent")?,
        true_sequential: fields.flag("true_sequential")?.unwrap_or(true),
        ..QuantizationConfig::new(layout)
    })
}

fn bits(fields: &Fields<'_>, name: &'static str) -> Result<Option<Bits>> {
    let Some(width) = fields.integer(name)? else { return Ok(None) };
    let known = u64::try_from(width).ok().and_then(|width| Bits::try_from(width).ok());
    known
        .map(Some)
        .ok_or_else(|| fields.wrong(name, format!("is {width}; 2, 3, 4 and 8 are known")))
}

/// Groups of so many inputs; -1 is a whole row.
fn group_of(fields: &Fields<'_>, name: &'static str) -> Result<Granularity> {
    match fields.integer(name)? {
        None => Err(fields.missing(name)),
        Some(-1) => Ok(Granularity::Channel),
        Some(size) => match usize::try_from(size).ok().map(Granularity::group) {
            Some(Ok(granularity)) => Ok(granularity),
            _ => Err(fields.wrong(name, format!("is {size}; a positive number or -1 is expected"))),
        },
    }
}
