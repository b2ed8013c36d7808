//! Small models quantized by every method into every format, read back, converted, interrupted and resumed.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use massval::hooks::HookSet;
use massval::models::{Batch, Checkpoint, LogitsAt, Model, StreamOptions};
use massval::quant::formats::Format;
use massval::quant::recipe::{Recipe, Treatment};
use massval::quant::{
    ActivationScheme, Bits, ColumnOrder, Granularity, ProtectedRows, Weight, WeightScheme, rtn,
};
use massval::quantize::{
    CalibrationOptions, CalibrationSet, ConvertOptions, Method, Protection, QuantizeOptions,
    QuantizeResult, calibrate, convert, quantize, read_recipe,
};
use massval::{Error, Run};
use tempfile::tempdir;

fn folder(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models").join(case)
}

fn load(path: &Path) -> Model {
    Model::load(path, &Device::default(), DType::F32, &mut |_, _| {})
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Ids that every small model knows.
fn ids(count: u32) -> Vec<u32> {
    (0..count).map(|i| 3 + (i * 7 + i * i) % 40).collect()
}

fn logits(model: &Model) -> Vec<f32> {
    let batch = Batch::single(&ids(12)).unwrap();
    let logits = model.decoder().forward(&batch, None, &mut HookSet::none(), LogitsAt::All);
    logits.unwrap().unwrap().into_data().try_into_vec().unwrap()
}

/// The root mean square of what differs, as a share of what is expected.
fn apart(found: &[f32], expected: &[f32]) -> f64 {
    let squares =
        |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x).powi(2)).sum::<f64>();
    let apart = squares(&mut found.iter().zip(expected).map(|(a, b)| a - b));
    (apart / squares(&mut expected.iter().copied())).sqrt()
}

fn options(method: Method, bits: Bits, format: Format) -> QuantizeOptions {
    let granularity = match format {
        Format::IntQuantized => Granularity::Channel,
        _ => Granularity::group(8).unwrap(),
    };
    QuantizeOptions::new(method, bits, granularity, format)
}

fn run(model: &Model, options: &QuantizeOptions, out: &Path) -> Result<QuantizeResult, Error> {
    attempt(model, options, out, 40, false, &mut |_| Ok(Vec::new()))
}

fn attempt(
    model: &Model,
    options: &QuantizeOptions,
    out: &Path,
    tokens: u32,
    resume: bool,
    score: massval::quantize::Scorer<'_>,
) -> Result<QuantizeResult, Error> {
    let mut read = CalibrationOptions::new(CalibrationSet::Tokens(ids(tokens)));
    (read.samples, read.length) = (4, 10);
    let calibration = match options.needs_calibration() {
        true => Some(calibrate(model, &read)?),
        false => None,
    };
    let run = Run { dtype: "f32".into(), threads: 1, ..Run::default() };
    quantize(model, &run, options, calibration, out, resume, score, &mut |_, _| {})
}

#[test]
fn every_method_and_format_reads_back() {
    for case in
        ["llama-gqa-untied-sharded", "llama-gqa-tied", "qwen2", "gemma2", "gpt-neox", "phi3-window"]
    {
        let model = load(&folder(case));
        let exact = logits(&model);
        for (method, bits, format, bound) in [
            (Method::Rtn, Bits::Four, Format::PackQuantized, 0.5),
            (Method::Rtn, Bits::Eight, Format::IntQuantized, 0.1),
            (Method::SmoothQuant, Bits::Eight, Format::IntQuantized, 0.1),
            (Method::Awq, Bits::Four, Format::AwqGemm, 0.5),
            (Method::Awq, Bits::Eight, Format::GptqV2, 0.05),
            (Method::Gptq, Bits::Four, Format::GptqV1, 0.5),
            (Method::Gptq, Bits::Eight, Format::PackQuantized, 0.05),
        ] {
            let place = tempdir().unwrap();
            let out = place.path().join("out");
            let result = run(&model, &options(method, bits, format), &out)
                .unwrap_or_else(|error| panic!("{case} {method} {format}: {error}"));
            let read = load(&out);
            let error = apart(&logits(&read), &exact);
            assert!(0.0 < error && error < bound, "{case} {method} {bits} {format}: {error}");
            let config = read.checkpoint().quantization.as_ref().unwrap();
            assert_eq!((config.layout.format, config.layout.bits), (format, bits));
            assert_eq!(result.linears.iter().filter(|l| l.float).count(), 0, "{case} {format}");
            assert_eq!(read.decoder().input_rounding().is_some(), format == Format::IntQuantized);
            assert!(out.join("README.md").exists() && out.join("massval.json").exists());
            assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "something is left beside");
        }
    }
}

#[test]
fn what_is_read_back_is_what_was_rounded() {
    let model = load(&folder("llama-gqa-untied-sharded"));
    let place = tempdir().unwrap();
    let out = place.path().join("out");
    let mut wanted = options(Method::Rtn, Bits::Four, Format::GptqV1);
    wanted.shard_bytes = 4000;
    run(&model, &wanted, &out).unwrap();
    assert!(out.join("model.safetensors.index.json").exists());
    let read = load(&out);
    let scheme = wanted.scheme.scales(massval::quant::ScaleType::F16);
    for at in model.decoder().config().linears() {
        let weight = model.decoder().linear_weight(at).unwrap();
        let shape = model.decoder().config().linear_shape(at.role);
        let rounded = rtn(&Weight::new("w", shape, &weight).unwrap(), &scheme).unwrap();
        assert_eq!(read.decoder().linear_weight(at).unwrap(), rounded.dequantize(), "{at}");
    }
    // Block by block, it is the same model.
    let options = StreamOptions::working(0);
    let streamed = Model::stream(&out, &Device::default(), DType::F32, options, &mut |_, _| {});
    assert_eq!(logits(&streamed.unwrap()), logits(&read));
}

/// The linears of the small model that a recipe treats otherwise.
const EXACT: &str = "model.layers.0.self_attn.k_proj";
const EIGHT: &str = "model.layers.1.mlp.up_proj";

fn recipe() -> Recipe {
    let mut recipe = Recipe::new(Bits::Four, Some(massval::quant::GroupSize::new(8).unwrap()));
    recipe.except(EXACT, Treatment::Exact);
    recipe.except(EIGHT, Treatment::Bits(Bits::Eight));
    recipe
}

/// The weights of a model, each rounded as the recipe says.
fn rounded_by(model: &Model, recipe: &Recipe, scheme: WeightScheme) -> Vec<Vec<f32>> {
    let linears = model.decoder().config().linears();
    let weights = linears.into_iter().map(|at| {
        let weight = model.decoder().linear_weight(at).unwrap();
        let shape = model.decoder().config().linear_shape(at.role);
        let blocks = model.checkpoint().blocks.iter().flat_map(|block| &block.linears);
        let linear = blocks.into_iter().find(|l| l.parts.iter().any(|part| part.at == at));
        match recipe.treatment(&linear.unwrap().name) {
            Treatment::Exact => weight,
            Treatment::Bits(bits) => {
                let weight = Weight::new("w", shape, &weight).unwrap();
                rtn(&weight, &WeightScheme { bits, ..scheme }).unwrap().dequantize()
            }
        }
    });
    weights.collect()
}

fn weights(model: &Model) -> Vec<Vec<f32>> {
    let linears = model.decoder().config().linears();
    linears.into_iter().map(|at| model.decoder().linear_weight(at).unwrap()).collect()
}

#[test]
fn a_recipe_is_followed_in_every_format_that_can() {
    let model = load(&folder("llama-gqa-untied-sharded"));
    let place = tempdir().unwrap();
    for (format, symmetric) in [
        (Format::PackQuantized, true),
        (Format::PackQuantized, false),
        (Format::GptqV1, true),
        (Format::GptqV1, false),
        (Format::GptqV2, false),
    ] {
        let out = place.path().join(format!("{format}-{symmetric}"));
        let recipe = Recipe { symmetric, ..recipe() };
        let wanted = options(Method::Rtn, Bits::Eight, format).with_recipe(&recipe);
        let result = run(&model, &wanted, &out).unwrap();
        let log = |name: &str| result.linears.iter().find(|log| log.name == name).unwrap();
        assert_eq!((log(EXACT).float, log(EIGHT).bits), (true, Some(Bits::Eight)));
        assert_eq!(result.linears.iter().filter(|log| log.bits.is_some() || log.float).count(), 2);

        let read = load(&out);
        let expected = rounded_by(&model, &recipe, result.options.scheme);
        assert_eq!(weights(&read), expected, "{format} {symmetric}");
        let config = read.checkpoint().quantization.as_ref().unwrap();
        assert_eq!(config.layout_of(EIGHT).bits, Bits::Eight);
        assert_eq!((config.layout.bits, config.ignore.len()), (Bits::Four, 2));
        let card = fs::read_to_string(out.join("README.md")).unwrap();
        let lines = ["| in 8 bits | 1 of 14 linears |", "| in floating point | 1 of 14 linears |"];
        assert!(lines.iter().all(|line| card.contains(line)), "{card}");

        // By way of the other format, and back.
        let to = if format == Format::PackQuantized { Format::GptqV2 } else { format };
        let there = place.path().join(format!("{format}-{symmetric}-there"));
        let back = place.path().join(format!("{format}-{symmetric}-back"));
        let mut converting = ConvertOptions::new(to);
        converting.round_scales = true;
        convert(&out, &there, &converting, &mut |_, _| {}).unwrap();
        let converting = ConvertOptions::new(Format::PackQuantized);
        convert(&there, &back, &converting, &mut |_, _| {}).unwrap();
        assert_eq!(weights(&load(&back)), weights(&load(&there)), "{format} {symmetric}");
        let found = load(&back).checkpoint().quantization.clone().unwrap();
        assert_eq!((found.rules.len(), &found.ignore), (1, &config.ignore));
    }
    // Methods that look at a text follow it, too; what comes after sees what it did.
    for method in [Method::Awq, Method::Gptq] {
        let out = place.path().join(method.name());
        let wanted = options(method, Bits::Four, Format::GptqV2).with_recipe(&recipe());
        let result = run(&model, &wanted, &out).unwrap();
        let error = |name: &str| {
            let log = result.linears.iter().find(|log| log.name == name).unwrap();
            log.weight_error
        };
        assert!(error(EXACT) == 0.0 || method == Method::Awq, "{method}: {}", error(EXACT));
        let sibling = EIGHT.replace("up", "gate");
        assert!(error(EIGHT) * 20.0 < error(&sibling), "{method}: {}", error(EIGHT));
        assert!(apart(&logits(&load(&out)), &logits(&model)) < 0.5);
    }
}

#[test]
fn a_recipe_that_cannot_be_followed_is_refused_before_any_work() {
    let model = load(&folder("llama-gqa-untied-sharded"));
    let place = tempdir().unwrap();
    let (file, out) = (place.path().join("recipe.json"), place.path().join("out"));
    let said = |format: Format, recipe: &Recipe, words: &[&str]| {
        let wanted = options(Method::Rtn, Bits::Four, format).with_recipe(recipe);
        let error = run(&model, &wanted, &out).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
        assert!(!out.exists() && !place.path().join("out.partial").exists(), "{error}");
    };
    said(Format::AwqGemm, &recipe(), &["awq-gemm", "some linears", "gptq"]);
    said(Format::IntQuantized, &recipe(), &["int-quantized", "4 bits"]);
    let mut two = recipe();
    two.except(EIGHT, Treatment::Bits(Bits::Two));
    said(Format::PackQuantized, &two, &["pack-quantized", "2 bits"]);
    let mut unknown = recipe();
    unknown.except("model.layers.7.mlp.up_proj", Treatment::Exact);
    said(Format::GptqV2, &unknown, &["model.layers.7.mlp.up_proj", "model.layers.0."]);
    // AWQ's files can leave a linear out.
    let mut kept = Recipe::new(Bits::Four, recipe().group);
    kept.except(EXACT, Treatment::Exact);
    let wanted = options(Method::Rtn, Bits::Four, Format::AwqGemm).with_recipe(&kept);
    run(&model, &wanted, &place.path().join("awq")).unwrap();

    fs::write(&file, unknown.json().unwrap()).unwrap();
    let error = read_recipe(&file, model.checkpoint()).unwrap_err().to_string();
    assert!(error.contains("recipe.json") && error.contains("layers.7"), "{error}");
    fs::write(&file, recipe().json().unwrap()).unwrap();
    assert_eq!(read_recipe(&file, model.checkpoint()).unwrap(), recipe());
}

#[test]
fn folded_scales_leave_the_float_model_as_it_is() {
    for case in ["llama-gqa-untied-sharded", "llama-mha-untied", "qwen2", "gemma2", "falcon-7b"] {
        let model = load(&folder(case));
        let place = tempdir().unwrap();
        let out = place.path().join("out");
        // All linears stay in floating point, smoothed.
        let mut wanted = options(Method::SmoothQuant, Bits::Eight, Format::IntQuantized);
        wanted.ignore = vec!["*".to_owned()];
        let Ok(_) = run(&model, &wanted, &out) else {
            assert_eq!(case, "falcon-7b", "it has one norm for attention and MLP");
            continue;
        };
        let config = fs::read_to_string(out.join("config.json")).unwrap();
        let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
        config.as_object_mut().unwrap().remove("quantization_config");
        fs::write(out.join("config.json"), config.to_string()).unwrap();
        let folded = load(&out);
        assert_ne!(
            folded.decoder().linear_weight("0.q".parse().unwrap()).unwrap(),
            model.decoder().linear_weight("0.q".parse().unwrap()).unwrap(),
        );
        let stored = model.checkpoint().stored.keys().any(|name| name == "F32");
        let error = apart(&logits(&folded), &logits(&model));
        assert!(error < if stored { 1e-5 } else { 1e-2 }, "{case}: {error}");
    }
}

#[test]
fn converting_keeps_every_weight() {
    let model = load(&folder("llama-gqa-tied"));
    let place = tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    run(&model, &options(Method::Awq, Bits::Four, Format::AwqGemm), &at("awq-gemm")).unwrap();
    let weights = |path: &Path| {
        let model = load(path);
        let linears = model.decoder().config().linears();
        let all = linears.into_iter().map(|at| model.decoder().linear_weight(at).unwrap());
        all.collect::<Vec<_>>()
    };
    let expected = weights(&at("awq-gemm"));
    let mut from = at("awq-gemm");
    for to in [Format::GptqV1, Format::PackQuantized, Format::GptqV2, Format::AwqGemm] {
        let out = at(&format!("{to}-again"));
        convert(&from, &out, &ConvertOptions::new(to), &mut |_, _| {}).unwrap();
        assert_eq!(weights(&out), expected, "{to}");
        let layout = Checkpoint::inspect(&out).unwrap().quantization.unwrap().layout;
        assert_eq!(layout.format, to);
        from = out;
    }
    let refused =
        convert(&from, &at("new"), &ConvertOptions::new(Format::IntQuantized), &mut |_, _| {});
    assert!(refused.unwrap_err().to_string().contains("int-quantized"));
    assert!(!at("new").exists() && !at("new.partial").exists());
    let plain =
        convert(&folder("qwen2"), &at("new"), &ConvertOptions::new(Format::GptqV1), &mut |_, _| {});
    assert!(plain.unwrap_err().to_string().contains("is not quantized"));
}

#[test]
fn a_run_that_ended_early_goes_on_to_the_same_files() {
    let model = load(&folder("llama-gqa-tied"));
    for method in [Method::Gptq, Method::Awq] {
        let place = tempdir().unwrap();
        let (out, whole) = (place.path().join("out"), place.path().join("whole"));
        let wanted = options(method, Bits::Four, Format::GptqV2);
        run(&model, &wanted, &whole).unwrap();
        let partial = place.path().join("out.partial");
        let full = &mut |_: &Path| Err(Error::Input("no space".to_owned()));
        assert!(attempt(&model, &wanted, &out, 40, false, full).is_err());
        assert!(!out.exists() && partial.exists());
        fs::remove_file(partial.join("layers/00001.safetensors")).unwrap();
        fs::remove_file(partial.join("layers/00002.safetensors")).unwrap();

        let none = &mut |_: &Path| Ok(Vec::new());
        let again = attempt(&model, &wanted, &out, 40, false, none).unwrap_err().to_string();
        assert!(again.contains("--resume"), "{again}");
        let other = options(method, Bits::Eight, Format::GptqV2);
        let other = attempt(&model, &other, &out, 40, true, none).unwrap_err().to_string();
        assert!(other.contains("other settings"), "{other}");
        let text = attempt(&model, &wanted, &out, 30, true, none).unwrap_err().to_string();
        assert!(text.contains("another text"), "{text}");

        attempt(&model, &wanted, &out, 40, true, none).unwrap();
        assert!(!partial.exists());
        let bytes = |folder: &Path| fs::read(folder.join("model.safetensors")).unwrap();
        assert!(bytes(&out) == bytes(&whole), "{method}");
        let nothing = attempt(&model, &wanted, &place.path().join("x"), 40, true, none);
        assert!(nothing.unwrap_err().to_string().contains("no unfinished run"));
    }
}

#[test]
fn protected_rows_stay_as_they_are() {
    let model = load(&folder("llama-gqa-untied-sharded"));
    let at = "1.q".parse().unwrap();
    let rows: std::collections::BTreeSet<usize> = [3, 5].into();
    let weight = model.decoder().linear_weight(at).unwrap();
    let width = model.decoder().config().d_model;
    for (protection, bound) in [(Protection::Exact, 0.0), (Protection::Groups(2), 0.1)] {
        let place = tempdir().unwrap();
        let out = place.path().join("out");
        let mut wanted = options(Method::Gptq, Bits::Four, Format::PackQuantized);
        wanted.protect.insert(at, ProtectedRows::new(rows.clone()));
        wanted.protection = protection;
        let result = run(&model, &wanted, &out).unwrap();
        let protected: Vec<_> = result.linears.iter().filter(|log| log.protected > 0).collect();
        assert_eq!(protected.len(), 1);
        assert_eq!(protected[0].float, protection == Protection::Exact);
        let read = load(&out).decoder().linear_weight(at).unwrap();
        let mut others = 0;
        for (row, (read, weight)) in read.chunks(width).zip(weight.chunks(width)).enumerate() {
            match rows.contains(&row) {
                true => assert!(apart(read, weight) <= bound, "{protection:?}"),
                false => others += usize::from(apart(read, weight) > 0.01),
            }
        }
        assert!(others > 0, "{protection:?}: the other rows are rounded");
    }
}

#[test]
fn what_cannot_be_done_is_refused_before_any_work() {
    let place = tempdir().unwrap();
    let out = place.path().join("out");
    let said = |case: &str, wanted: &QuantizeOptions, words: &[&str]| {
        let error = run(&load(&folder(case)), wanted, &out).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{case}: {error}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "{case}: {error}");
    };
    let gptq = |format| options(Method::Gptq, Bits::Four, format);
    let plain = gptq(Format::PackQuantized);

    let mut wanted = plain.clone();
    wanted.scheme.granularity = Granularity::group(7).unwrap();
    said("llama-gqa-tied", &wanted, &["groups of 7", "q_proj", "divisor"]);
    said("gpt2", &plain, &["Conv1D"]);
    said("mixtral", &plain, &["experts", "rtn"]);
    said("olmo2", &options(Method::Awq, Bits::Four, Format::AwqGemm), &["norm", "gptq or rtn"]);
    said("llama-gqa-tied", &options(Method::Gptq, Bits::Two, Format::PackQuantized), &["2 bits"]);
    said("llama-gqa-tied", &options(Method::Awq, Bits::Eight, Format::AwqGemm), &["8 bits"]);
    let mut wanted = options(Method::SmoothQuant, Bits::Eight, Format::IntQuantized);
    wanted.activations = None;
    said("llama-gqa-tied", &wanted, &["smoothquant", "--activations"]);
    let mut wanted = plain.clone();
    wanted.activations = Some(ActivationScheme::per_token());
    said("llama-gqa-tied", &wanted, &["rounded activations"]);
    let mut wanted = gptq(Format::AwqGemm);
    wanted.gptq.order = ColumnOrder::Activation;
    said("llama-gqa-tied", &wanted, &["groups out of order"]);
    let mut wanted = plain.clone();
    wanted.ignore = vec!["*.q_prj".to_owned()];
    said("llama-gqa-tied", &wanted, &["*.q_prj", "model.layers.0.self_attn.q_proj"]);

    let model = load(&folder("llama-gqa-tied"));
    let one = attempt(&model, &plain, &out, 1, false, &mut |_| Ok(Vec::new()));
    assert!(one.unwrap_err().to_string().contains("two tokens"));
    fs::create_dir(&out).unwrap();
    fs::write(out.join("mine.txt"), "mine").unwrap();
    let full = run(&model, &plain, &out).unwrap_err().to_string();
    assert!(full.contains("not empty"), "{full}");
    let there = place.path().join("there");
    run(&model, &plain, &there).unwrap();
    let twice = run(&load(&there), &plain, &place.path().join("twice")).unwrap_err().to_string();
    assert!(twice.contains("is quantized already"), "{twice}");
}
