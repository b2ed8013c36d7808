//! What other programs have written, taken only as far as it is understood.

use serde_json::Value;

use super::fields::Fields;
use super::{ActivationOrder, LayoutRule, ParsedConfig, QuantizationConfig};
use crate::formats::pattern::{MARK, literal};
use crate::formats::{Format, Layout, LinearPattern};
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
    // How transformers is to load it.
    fields.get("dequantize");
    fields.get("run_compressed");
    let groups = fields.object("config_groups")?.ok_or_else(|| fields.missing("config_groups"))?;
    let mut common: Option<(Option<ActivationScheme>, ActivationOrder)> = None;
    let (mut rest, mut rules) = (Vec::new(), Vec::new());
    for (name, group) in groups.keys() {
        let group = Fields::new(group, &format!("config_groups.{name}"))?;
        let (layout, activations, order) = compressed_group(&group, format)?;
        if *common.get_or_insert((activations, order)) != (activations, order) {
            let reason = "its groups differ in their activations or in their order; massval reads \
                          checkpoints with one setting";
            return Err(fields.wrong("config_groups", reason));
        }
        let (classes, linears): (Vec<_>, Vec<_>) =
            group.texts("targets")?.into_iter().partition(|target| is_class(target));
        if !classes.is_empty() || linears.is_empty() {
            rest.push((classes.iter().any(|class| class == "Linear"), layout));
        }
        for target in linears {
            let pattern = LinearPattern::try_from(target);
            let pattern = pattern.map_err(|error| group.wrong("targets", error.to_string()))?;
            rules.push((pattern, layout));
        }
    }
    let (activations, order) = common.ok_or_else(|| fields.missing("config_groups"))?;
    let first = rest.iter().find(|(linear, _)| *linear).or(rest.first());
    let layout = first.map(|(_, layout)| *layout).or(rules.first().map(|(_, layout)| *layout));
    let layout = layout.ok_or_else(|| fields.missing("config_groups"))?;
    if rest.iter().any(|(_, other)| *other != layout) {
        let reason = "its groups differ by the class of a module; massval knows linears alone";
        return Err(fields.wrong("config_groups", reason));
    }
    rules.sort_by(|(a, _), (b, _)| a.rank().cmp(&b.rank()));
    Ok(QuantizationConfig {
        rules: joined(rules, &layout),
        ignore: fields.texts("ignore")?,
        activations,
        order,
        ..QuantizationConfig::new(layout)
    })
}

/// Whether a target is a class of modules, such as `Linear`, and no module's name.
fn is_class(target: &str) -> bool {
    target.starts_with(|c: char| c.is_ascii_uppercase()) && !target.contains('.')
}

/// Rules out of patterns in their order; none if they say what holds anyway.
fn joined(patterns: Vec<(LinearPattern, Layout)>, rest: &Layout) -> Vec<LayoutRule> {
    let mut rules: Vec<LayoutRule> = Vec::new();
    if patterns.iter().all(|(_, layout)| layout == rest) {
        return rules;
    }
    for (pattern, layout) in patterns {
        match rules.last_mut() {
            Some(rule) if rule.layout == layout => rule.linears.push(pattern),
            _ => rules.push(LayoutRule { linears: vec![pattern], layout }),
        }
    }
    rules
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
    let ordered = fields.flag("desc_act")?.unwrap_or(false);
    let fixed = fields.flag("static_groups")?.unwrap_or(false);
    let layout = Layout {
        format,
        bits: bits(fields, "bits")?.ok_or_else(|| fields.missing("bits"))?,
        granularity: group_of(fields, "group_size")?,
        symmetric: fields.flag("sym")?.unwrap_or(true),
    };
    let mut ignore = Vec::new();
    if fields.flag("lm_head")? != Some(true) {
        ignore.push("lm_head".to_owned());
    }
    let mut rules = Vec::new();
    if let Some(dynamic) = fields.object("dynamic")? {
        for (rule, says) in dynamic.keys() {
            if let Some(name) = rule.strip_prefix("-:") {
                ignore.push(literal(name).unwrap_or_else(|| format!("{MARK}{name}")));
                continue;
            }
            let pattern = LinearPattern::expression(rule.strip_prefix("+:").unwrap_or(rule));
            let pattern = pattern.map_err(|error| dynamic.wrong(rule, error.to_string()))?;
            let says = Fields::new(says, &format!("dynamic.{rule}"))?;
            rules.push((pattern, gptq_rule(&says, &layout)?));
        }
    }
    Ok(QuantizationConfig {
        rules: joined(rules, &layout),
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

/// What a rule makes of the layout of the rest.
fn gptq_rule(fields: &Fields<'_>, rest: &Layout) -> Result<Layout> {
    let granularity = match fields.get("group_size") {
        Some(_) => group_of(fields, "group_size")?,
        None => rest.granularity,
    };
    Ok(Layout {
        bits: bits(fields, "bits")?.unwrap_or(rest.bits),
        granularity,
        symmetric: fields.flag("sym")?.unwrap_or(rest.symmetric),
        ..*rest
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
