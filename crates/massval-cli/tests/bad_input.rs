//! What bad input gets: one line that names the file and what is wrong, exit code 1 (2 for wrong
//! usage), no panic, and nothing left behind.

mod common;

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use common::checkpoint::{Gguf, Safetensors, edit_json, small_model};
use common::{arg, fixture, listing, massval, misused, refused};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

/// The smallest input for a model without a tokenizer.
const TOKENS: [&str; 2] = ["--tokens", "1,2,3"];

/// Every command that reads a checkpoint refuses it, and leaves nothing behind.
#[track_caller]
fn no_checkpoint(model: &Path, said: &[&str]) {
    refused(&["inspect", arg(model)], said);
    no_pass(model, &TOKENS, said);
}

/// Every command that runs a model refuses it or its input, and leaves nothing behind.
#[track_caller]
fn no_pass(model: &Path, input: &[&str], said: &[&str]) {
    let out = tempdir().unwrap();
    let (folder, file) = (out.path().join("scan"), out.path().join("out.safetensors"));
    let (model, file) = (arg(model), arg(&file));
    for rest in [
        vec!["scan", model, "--out", arg(&folder)],
        vec!["scan", model, "--out", arg(out.path())],
        vec!["logits", model, "--out", file],
        vec!["capture", model, "--hooks", "q", "--out", file],
        vec!["generate", model, "--max-new-tokens", "2"],
    ] {
        let args: Vec<&str> = rest.iter().chain(input).copied().collect();
        refused(&args, said);
        assert_eq!(listing(out.path()), [""; 0], "{args:?} left something behind");
    }
}

/// A small checkpoint of one safetensors file, changed.
#[track_caller]
fn changed(change: impl FnOnce(&Path), said: &[&str]) {
    let model = small_model();
    change(model.path());
    no_checkpoint(model.path(), said);
}

/// The same with the weights' header and bytes changed.
#[track_caller]
fn weights(change: impl FnOnce(&mut Safetensors), said: &[&str]) {
    changed(|folder| Safetensors::edit(&folder.join("model.safetensors"), change), said);
}

/// The same with its config changed.
#[track_caller]
fn config(change: impl FnOnce(&mut Value), said: &[&str]) {
    changed(|folder| edit_json(&folder.join("config.json"), change), said);
}

/// A small GGUF, changed.
#[track_caller]
fn gguf(change: impl FnOnce(&mut Gguf), said: &[&str]) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("small.gguf");
    let mut file = Gguf::read(&fixture("gguf-llama/f32.gguf"));
    change(&mut file);
    fs::write(&path, file.bytes).unwrap();
    let said: Vec<&str> = said.iter().copied().chain(["small.gguf"]).collect();
    no_checkpoint(&path, &said);
}

const QUERY: &str = "model.layers.1.self_attn.q_proj.weight";
const KEY: &str = "model.layers.1.self_attn.k_proj.weight";

#[test]
fn truncated_weights() {
    let whole = fs::read(fixture("models/llama-gqa-tied/model.safetensors")).unwrap();
    for length in [0, 4, 8, 100, whole.len() / 2, whole.len() - 1] {
        let cut = |folder: &Path| fs::write(folder.join("model.safetensors"), &whole[..length]);
        changed(|folder| cut(folder).unwrap(), &["model.safetensors"]);
    }
}

#[test]
fn weights_with_a_hostile_header() {
    let file = "model.safetensors";
    weights(|w| w.length = Some(1 << 60), &[file, "header"]);
    weights(|w| w.length = Some(u64::MAX), &[file, "header"]);
    weights(|w| w.header = json!([]), &[file]);
    weights(|w| w.header = json!("x"), &[file]);
    weights(|w| w.tensor(QUERY)["data_offsets"] = json!([0, 1u64 << 60]), &[file, QUERY]);
    weights(|w| w.tensor(QUERY)["data_offsets"] = json!([u64::MAX - 1, u64::MAX]), &[file, QUERY]);
    weights(|w| w.tensor(QUERY)["data_offsets"] = json!([8, 4]), &[file, QUERY]);
    weights(|w| w.tensor(QUERY)["data_offsets"] = json!([-4, 4]), &[file]);
    weights(|w| w.tensor(QUERY)["shape"] = json!([1u64 << 40, 1u64 << 40]), &[file, QUERY]);
    weights(|w| w.tensor(QUERY)["shape"] = json!([0, 32]), &[QUERY]);
    weights(|w| w.tensor(QUERY)["shape"] = json!([]), &[QUERY]);
    weights(|w| w.tensor(QUERY)["dtype"] = json!("F99"), &[file, "F99"]);
    let overlap = |w: &mut Safetensors| {
        let key = w.tensor(KEY)["data_offsets"].clone();
        let begin = key[0].as_u64().unwrap();
        let query = w.tensor(QUERY)["data_offsets"].clone();
        let bytes = query[1].as_u64().unwrap() - query[0].as_u64().unwrap();
        w.tensor(QUERY)["data_offsets"] = json!([begin, begin + bytes]);
    };
    weights(overlap, &[file]);
}

#[test]
fn weights_that_are_not_those_of_the_config() {
    weights(|w| w.rename(QUERY, "model.layers.1.self_attn.q_porj.weight"), &[QUERY]);
    let other = "model.layers.9.self_attn.q_proj.weight";
    weights(|w| w.copy(QUERY, other), &[other]);
    config(|c| c["num_hidden_layers"] = json!(4), &["model.layers.3."]);
    config(|c| c["num_hidden_layers"] = json!(2), &["model.layers.2."]);
    config(|c| c["vocab_size"] = json!(72), &["model.embed_tokens.weight", "72", "71"]);
    config(|c| c["intermediate_size"] = json!(44), &["mlp", "44"]);
}

#[test]
fn weights_that_are_not_finite() {
    let model = small_model();
    let file = model.path().join("model.safetensors");
    Safetensors::edit(&file, |w| w.fill(QUERY, 0xff));
    no_pass(model.path(), &TOKENS, &["model.safetensors", QUERY, "finite"]);
}

#[test]
fn activations_that_are_not_finite() {
    let model = small_model();
    // Each number 3.4e38: finite, but no sum of them is.
    Safetensors::edit(&model.path().join("model.safetensors"), |w| w.fill(QUERY, 0x7f));
    let out = tempdir().unwrap();
    let args = ["scan", arg(model.path()), "--tokens", "1,2,3", "--out", arg(out.path())];
    refused(&args, &["blocks.1.attn.hook_q", "finite"]);
    assert_eq!(listing(out.path()), [""; 0]);
}

#[test]
fn ggufs_with_absurd_counts() {
    let whole = fs::read(fixture("gguf-llama/f32.gguf")).unwrap();
    for length in [0, 3, 4, 8, 20, 100, 1000, whole.len() / 2, whole.len() - 1] {
        gguf(|g| g.bytes.truncate(length), &[]);
    }
    gguf(|g| g.bytes[..4].copy_from_slice(b"GGML"), &[]);
    gguf(|g| g.set_u32(4, 99), &["version"]);
    for absurd in [u64::MAX, 1 << 60, 1 << 32] {
        gguf(|g| g.set_u64(Gguf::TENSORS, absurd), &[]);
        gguf(|g| g.set_u64(Gguf::ENTRIES, absurd), &[]);
        gguf(|g| g.set_u64(Gguf::FIRST_KEY, absurd), &[]);
        gguf(|g| g.set_u64(g.after("tokenizer.ggml.tokens") + 8, absurd), &[]);
        gguf(|g| g.set_u64(g.after("blk.0.attn_q.weight") + 4, absurd), &["blk.0.attn_q.weight"]);
        gguf(|g| g.set_u64(g.after("blk.0.attn_q.weight") + 24, absurd), &["blk.0.attn_q.weight"]);
    }
    gguf(|g| g.set_u32(g.after("blk.0.attn_q.weight"), u32::MAX), &["blk.0.attn_q.weight"]);
    gguf(|g| g.set_u32(g.after("blk.0.attn_q.weight") + 20, 250), &["blk.0.attn_q.weight", "250"]);
    gguf(|g| g.set_u64(g.after("blk.0.attn_q.weight") + 4, 0), &["blk.0.attn_q.weight"]);
    // The metadata's numbers, each with its type before it.
    gguf(|g| g.set_u32(g.after("llama.block_count") + 4, u32::MAX), &[]);
    gguf(|g| g.set_u32(g.after("llama.block_count") + 4, 0), &[]);
    gguf(|g| g.set_u32(g.after("llama.attention.head_count") + 4, 0), &[]);
    gguf(|g| g.set_u32(g.after("llama.attention.head_count") + 4, 3), &[]);
    gguf(|g| g.set_u32(g.after("llama.embedding_length") + 4, u32::MAX), &[]);
    gguf(|g| g.replace("llama.block_count", "llama.block_cuont"), &["block_count"]);
}

/// A copy of the sharded fixture with its index changed.
#[track_caller]
fn sharded(change: impl FnOnce(&Path), said: &[&str]) {
    let folder = tempdir().unwrap();
    common::checkpoint::copy(&fixture("models/llama-gqa-untied-sharded"), folder.path());
    change(folder.path());
    no_checkpoint(folder.path(), said);
}

#[test]
fn indices_that_point_elsewhere() {
    let index = "model.safetensors.index.json";
    let shard = "model-00001-of-00004.safetensors";
    for elsewhere in ["../weights.safetensors", "/etc/passwd", "a/../../b", "", ".", ".."] {
        let change = |v: &mut Value| v["weight_map"]["lm_head.weight"] = json!(elsewhere);
        sharded(|folder| edit_json(&folder.join(index), change), &[index]);
    }
    sharded(|folder| fs::remove_file(folder.join(shard)).unwrap(), &[shard]);
    sharded(|folder| fs::write(folder.join(shard), "").unwrap(), &[shard]);
    sharded(|folder| fs::write(folder.join(index), "{").unwrap(), &[index]);
    sharded(|folder| fs::write(folder.join(index), "{}").unwrap(), &[index]);
    let absent = |v: &mut Value| v["weight_map"]["model.norm.weight"] = json!(shard);
    sharded(|folder| edit_json(&folder.join(index), absent), &["model.norm.weight"]);
}

/// PyTorch's files beside a config of `models/`, changed.
#[track_caller]
fn pickled(name: &str, config: &str, change: impl FnOnce(&Path), said: &[&str]) {
    let folder = tempdir().unwrap();
    common::checkpoint::copy(&fixture(name), folder.path());
    let config = fixture(&format!("models/{config}/config.json"));
    fs::copy(config, folder.path().join("config.json")).unwrap();
    change(folder.path());
    no_checkpoint(folder.path(), said);
}

/// Cuts a file to a part of its length.
fn cut(path: &Path, part: f64) {
    let whole = fs::read(path).unwrap();
    fs::write(path, &whole[..(whole.len() as f64 * part) as usize]).unwrap();
}

#[test]
fn pytorch_files_that_are_cut_or_of_another_model() {
    let (file, shard) = ("pytorch_model.bin", "pytorch_model-00002-of-00002.bin");
    let tied = |change: &dyn Fn(&Path), said: &[&str]| {
        pickled("pytorch-llama/tied", "llama-gqa-tied", change, said);
    };
    let sharded = |change: &dyn Fn(&Path), said: &[&str]| {
        pickled("pytorch-llama/sharded", "llama-gqa-untied-sharded", change, said);
    };
    for part in [0.0, 0.5, 0.99] {
        tied(&|folder| cut(&folder.join(file), part), &[file]);
        sharded(&|folder| cut(&folder.join(shard), part), &[shard]);
    }
    tied(&|folder| fs::write(folder.join(file), "\x7fELF").unwrap(), &[file, "PyTorch"]);
    let instead = |other: &str, said: &[&str]| {
        let copy = |folder: &Path| assert!(fs::copy(fixture(other), folder.join(file)).is_ok());
        tied(&copy, said);
    };
    instead("tensor-files/dict-twice.pt", &[file, "a.b", "twice"]);
    instead("tensor-files/dict.pt", &["2 unused", "layer.k"]);
    sharded(&|folder| fs::remove_file(folder.join(shard)).unwrap(), &[shard]);
    let index = "pytorch_model.bin.index.json";
    let escape = |v: &mut Value| v["weight_map"]["lm_head.weight"] = json!("../x.bin");
    sharded(&|folder| edit_json(&folder.join(index), escape), &[index]);
}

#[test]
fn a_safetensors_shard_that_is_cut() {
    let shard = "model-00002-of-00004.safetensors";
    for part in [0.01, 0.5, 0.99] {
        sharded(|folder| cut(&folder.join(shard), part), &[shard]);
    }
}

#[test]
fn two_tensors_under_one_name() {
    let shards = ["model-00001-of-00004.safetensors", "model-00002-of-00004.safetensors"];
    let own = |folder: &Path, shard: &str| {
        let index = common::json(folder.join("model.safetensors.index.json"));
        let map = index["weight_map"].as_object().unwrap().clone();
        map.into_iter().find(|(_, file)| file == shard).unwrap().0
    };
    let both = |folder: &Path| {
        let [first, second] = shards.map(|shard| own(folder, shard));
        Safetensors::edit(&folder.join(shards[1]), |w| w.copy(&second, &first));
    };
    sharded(both, &[shards[1], "it holds tensor"]);
    // A header that says a name twice.
    let model = small_model();
    let path = model.path().join("model.safetensors");
    let file = fs::read(&path).unwrap();
    let (length, rest) = file.split_first_chunk::<8>().unwrap();
    let (header, numbers) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header = str::from_utf8(header).unwrap().replacen(KEY, QUERY, 1);
    let length = (header.len() as u64).to_le_bytes();
    fs::write(&path, [&length[..], header.as_bytes(), numbers].concat()).unwrap();
    no_checkpoint(model.path(), &["model.safetensors", QUERY, "twice"]);
}

#[test]
fn checkpoints_that_others_quantized() {
    for (quantization, method) in [
        (json!({"quant_method": "bitsandbytes", "load_in_4bit": true}), "bitsandbytes (4 bits)"),
        (json!({"quant_method": "fp8"}), "FP8"),
    ] {
        let said = ["config.json", "quantization_config", method, "GGUF"];
        config(|c| c["quantization_config"] = quantization, &said);
    }
    for (quantization, field) in [
        (json!({"quant_method": "awq", "group_size": 8}), "quantization_config.bits"),
        (json!({"quant_method": "gptq", "bits": 5, "group_size": 8}), "quantization_config.bits"),
        (json!({"quant_method": "compressed-tensors"}), "quantization_config.format"),
    ] {
        config(|c| c["quantization_config"] = quantization, &["config.json", field]);
    }
    let plain = json!({"quant_method": "gptq", "bits": 4, "group_size": 8, "sym": true});
    config(|c| c["quantization_config"] = plain, &["model.safetensors", "gptq", "`.qweight`"]);
    let packed = "model.layers.1.self_attn.q_proj.qweight";
    weights(|w| w.rename(QUERY, packed), &["model.safetensors", packed, "GPTQ or AWQ", "GGUF"]);
    let scales = "model.layers.1.self_attn.q_proj.weight_scale";
    weights(|w| w.copy(QUERY, scales), &["model.safetensors", scales, "quantized"]);
}

#[test]
fn configs_that_contradict_the_tensors() {
    let (embed, gate) = ("model.embed_tokens.weight", "model.layers.0.mlp.gate_proj.weight");
    config(|c| c["vocab_size"] = json!(72), &[embed, "[71, 32]", "[72, 32]", "vocab_size 72"]);
    config(|c| c["intermediate_size"] = json!(44), &[gate, "intermediate_size 44"]);
    config(|c| c["hidden_size"] = json!(48), &[embed, "hidden_size 48"]);
    let key = "model.layers.0.self_attn.k_proj.weight";
    let one = "num_key_value_heads 1 x head_dim 16";
    config(|c| c["num_key_value_heads"] = json!(1), &[key, one]);
    let query = "model.layers.0.self_attn.q_proj.weight";
    config(|c| c["head_dim"] = json!(12), &[query, "num_attention_heads 4 x head_dim 12"]);
}

#[test]
fn configs_with_missing_fields() {
    for field in ["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"] {
        let remove = |c: &mut Value| drop(c.as_object_mut().unwrap().remove(field));
        config(remove, &["config.json", field]);
        config(|c| c[field] = json!("many"), &["config.json", field]);
        config(|c| c[field] = json!(0), &["config.json", field]);
        config(|c| c[field] = json!(-1), &["config.json", field]);
        config(|c| c[field] = json!(1e18), &["config.json", field]);
        config(|c| c[field] = json!(u64::MAX), &["config.json", field]);
    }
    config(|c| c["model_type"] = json!("llamma"), &["config.json", "llamma"]);
    config(|c| c["rope_parameters"]["rope_type"] = json!("helix"), &["config.json", "helix"]);
    config(
        |c| c["rope_parameters"]["rope_theta"] = json!(-1.0),
        &["config.json", "rope_theta: -1"],
    );
    config(|c| c["hidden_act"] = json!("sillu"), &["config.json", "sillu"]);
    config(|c| c["num_key_value_heads"] = json!(3), &["config.json", "num_key_value_heads"]);
    config(|c| c["head_dim"] = json!(15), &["config.json", "head_dim"]);
    config(|c| c["rms_norm_eps"] = json!("x"), &["config.json", "rms_norm_eps"]);
    changed(|folder| fs::write(folder.join("config.json"), "{").unwrap(), &["config.json"]);
    changed(|folder| fs::write(folder.join("config.json"), [0xff; 9]).unwrap(), &["config.json"]);
    changed(|folder| fs::write(folder.join("config.json"), "[]").unwrap(), &["config.json"]);
    changed(|folder| fs::remove_file(folder.join("config.json")).unwrap(), &["config.json"]);
    let file = "model.safetensors";
    changed(|folder| fs::remove_file(folder.join(file)).unwrap(), &["safetensors"]);
}

#[test]
fn models_that_are_not_there() {
    let folder = tempdir().unwrap();
    no_checkpoint(&folder.path().join("nowhere"), &["nowhere"]);
    no_checkpoint(&folder.path().join("nowhere.gguf"), &["nowhere.gguf"]);
    let text = folder.path().join("model.txt");
    fs::write(&text, "text").unwrap();
    no_checkpoint(&text, &["model.txt"]);
    no_checkpoint(folder.path(), &[arg(folder.path()), "model.safetensors"]);
}

#[test]
fn a_tokenizer_of_another_model() {
    let model = small_model();
    let tokenizer = fixture("tokenizer-small/byte-level/tokenizer.json");
    fs::copy(tokenizer, model.path().join("tokenizer.json")).unwrap();
    no_pass(model.path(), &["--prompt", "hello"], &["tokenizer.json", "71"]);
    fs::write(model.path().join("tokenizer.json"), "{\"model\": ").unwrap();
    no_pass(model.path(), &["--prompt", "hello"], &["tokenizer.json"]);
    fs::remove_file(model.path().join("tokenizer.json")).unwrap();
    no_pass(model.path(), &["--prompt", "hello"], &["tokenizer", arg(model.path())]);
}

#[test]
fn text_that_no_model_reads() {
    let model = fixture("gguf-llama/f32.gguf");
    let folder = tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let (latin, empty) = (file("latin.txt", b"caf\xe9 au lait"), file("empty.txt", b""));
    let long = file("long.txt", "hens ".repeat(200).as_bytes());
    no_pass(&model, &["--text", arg(&latin)], &["latin.txt", "UTF-8"]);
    no_pass(&model, &["--text", arg(&empty)], &["empty.txt", "no tokens"]);
    no_pass(&model, &["--prompt", ""], &["no tokens"]);
    no_pass(&model, &["--text", arg(&long)], &["64"]);
    no_pass(&model, &["--text", arg(folder.path())], &[arg(folder.path())]);
    no_pass(&model, &["--text", arg(&folder.path().join("nothing.txt"))], &["nothing.txt"]);
    no_pass(&model, &["--chat", "--prompt", "hello"], &["chat template"]);
    no_pass(&model, &["--tokens", "1,268"], &["268"]);
    no_pass(&model, &["--tokens", "4294967295"], &["4294967295"]);
    let many = vec!["1"; 65].join(",");
    no_pass(&model, &["--tokens", &many], &["65", "64"]);
    let args = ["scan", arg(&model), "--tokens", "1,2", "--skip-first", "2"];
    let out = folder.path().join("scan");
    refused(&[&args[..], &["--out", arg(&out)]].concat(), &["2 tokens"]);
    assert!(!out.exists());
}

/// The device that is always full.
fn full_disk() -> &'static Path {
    let full = Path::new("/dev/full");
    let kind = fs::metadata(full).expect("/dev/full").file_type();
    assert!(kind.is_char_device(), "/dev/full is no device on this machine");
    full
}

#[test]
fn places_that_cannot_be_written() {
    let (model, folder) = (fixture("gguf-llama/f32.gguf"), tempdir().unwrap());
    let model = arg(&model);
    let file = folder.path().join("file");
    fs::write(&file, "as it was").unwrap();
    let below = file.join("below");
    let missing = folder.path().join("missing/out.safetensors");
    let tensor = fixture("tensor-files/f16.npy");
    // By a link of its own: a wrong write must not hurt the device itself.
    let devices = tempdir().unwrap();
    let full = devices.path().join("full");
    std::os::unix::fs::symlink(full_disk(), &full).unwrap();
    for out in [&full, &below, &missing, folder.path()] {
        let out = arg(out);
        refused(&["logits", model, "--prompt", "hens", "--out", out], &[out]);
        refused(&["capture", model, "--hooks", "q", "--prompt", "hens", "--out", out], &[out]);
        refused(&["detect", arg(&tensor), "--layout", "hsd", "--out", out], &[out]);
    }
    for out in [&full, &file, &below] {
        refused(&["scan", model, "--prompt", "hens", "--out", arg(out)], &[arg(out)]);
    }
    assert!(fs::symlink_metadata(&full).unwrap().is_symlink(), "the link was replaced");
    assert_eq!(listing(folder.path()), ["file"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "as it was");
    // A page that cannot be written takes the other half of the result with it.
    let half = folder.path().join("half");
    fs::create_dir_all(half.join("scan.html")).unwrap();
    refused(&["scan", model, "--prompt", "hens", "--out", arg(&half)], &["scan.html"]);
    assert_eq!(listing(&half), ["scan.html"]);
}

#[test]
fn a_full_disk_behind_standard_output() {
    let model = fixture("gguf-llama/f32.gguf");
    for args in [vec!["hooks", arg(&model)], vec!["inspect", arg(&model)], vec!["--help"]] {
        let full = fs::OpenOptions::new().write(true).open(full_disk()).unwrap();
        let mut command = std::process::Command::new(massval().get_program());
        let output = command.args(&args).stdout(full).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
        if args[0] != "--help" {
            assert_eq!(output.status.code(), Some(1), "{args:?}");
            assert!(stderr.starts_with("massval: standard output: "), "{args:?}: {stderr}");
        }
    }
}

#[test]
fn a_reader_that_has_seen_enough() {
    let model = fixture("gguf-llama/f32.gguf");
    for args in [vec!["hooks", arg(&model)], vec!["completions", "bash"], vec!["scan", "--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = std::process::Command::new(massval().get_program());
        let output = command.args(&args).stdout(writer).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
    }
}

#[test]
fn wrong_usage() {
    let model = fixture("gguf-llama/f32.gguf");
    let model = arg(&model);
    misused(&[], &["Usage"]);
    misused(&["scna"], &["scan"]);
    misused(&["capture"], &["--hooks"]);
    misused(&["scan", model], &["--prompt"]);
    misused(&["scan", model, "--prompt", "a", "--tokens", "1"], &["--tokens"]);
    misused(&["scan", model, "--tokens", "1", "--chat"], &["--chat"]);
    misused(&["scan", model, "--tokens", "1,x"], &["x"]);
    misused(&["scan", model, "--tokens", "-1"], &["-1"]);
    misused(&["scan", model, "--prompt", "a", "--dtype", "f8"], &["f8", "bf16"]);
    misused(&["scan", model, "--prompt", "a", "--device", "tpu"], &["tpu", "cuda:N"]);
    misused(&["scan", model, "--prompt", "a", "--criterion", "mean:5"], &["mean:5"]);
    misused(&["scan", model, "--prompt", "a", "--criterion", "head-mean:-1"], &["head-mean"]);
    misused(&["scan", model, "--prompt", "a", "--max-tokens", "0"], &["--max-tokens"]);
    misused(&["scan", model, "--prompt", "a", "--threads", "0"], &["--threads"]);
    misused(&["generate", model, "--prompt", "a", "--top-k", "3"], &["--temperature"]);
    let sampled = ["generate", model, "--prompt", "a", "--temperature"];
    for rest in [&["-1"][..], &["nan"], &["1", "--top-k", "0"], &["1", "--top-p", "1.5"]] {
        misused(&[&sampled[..], rest].concat(), &[rest[rest.len() - 1]]);
    }
    misused(&["detect"], &["TENSOR"]);
    misused(&["detect", "a.npy", "--layout", "sdhb"], &["sdhb", "bhsd"]);
    misused(&["detect", "a.npy", "--rotary-dim", "4"], &["--rope-theta"]);
}

#[test]
fn hooks_that_are_not_there() {
    let (model, gpt2) = (fixture("gguf-llama/f32.gguf"), fixture("models/gpt2"));
    let folder = tempdir().unwrap();
    let out = folder.path().join("out.safetensors");
    let capture = |model: &Path, hook: &str, said: &[&str]| {
        let args = ["capture", arg(model), "--tokens", "1,2", "--out", arg(&out), "--hooks", hook];
        refused(&args, said);
        refused(&["hooks", arg(model), hook], said);
        assert_eq!(listing(folder.path()), [""; 0]);
    };
    capture(&model, "blocks.0.attn.hook_rot_g", &["hook_rot_g", "blocks.0.attn.hook_rot_q"]);
    capture(&model, "blocks.2.attn.hook_q", &["blocks.2.attn.hook_q"]);
    capture(&model, "blocks.7.*", &["blocks.7.*"]);
    capture(&model, "", &[]);
    capture(&gpt2, "rot_q", &["rot_q"]);
    capture(&gpt2, "blocks.0.attn.hook_rot_q", &["blocks.0.attn.hook_rot_q"]);
}

#[test]
fn devices_that_this_build_lacks() {
    let model = fixture("gguf-llama/f32.gguf");
    for (device, feature, there) in [
        ("wgpu", "wgpu", cfg!(feature = "wgpu")),
        ("vulkan", "vulkan", cfg!(feature = "vulkan")),
        ("cuda:1", "cuda", cfg!(feature = "cuda")),
    ] {
        if !there {
            no_pass(&model, &["--prompt", "a", "--device", device], &[device, feature]);
        }
    }
}

/// A file of the fixtures for dumped tensors.
fn dumped(name: &str) -> PathBuf {
    fixture("tensor-files").join(name)
}

#[test]
fn dumped_tensors_that_cannot_be_judged() {
    let folder = tempdir().unwrap();
    let out = folder.path().join("detect.json");
    let detect = |file: &Path, more: &[&str], said: &[&str]| {
        let args = ["detect", arg(file), "--out", arg(&out)];
        let name = file.file_name().unwrap().to_str().unwrap();
        refused(&[&args[..], more].concat(), &[said, &[name]].concat());
        assert!(!out.exists());
    };
    let hsd = ["--layout", "hsd"];
    detect(&dumped("nothing.npy"), &[], &[]);
    let mut capture = Safetensors { length: None, header: json!({}), numbers: vec![0xff; 48] };
    capture.header["k"] = json!({"dtype": "F32", "shape": [1, 3, 4], "data_offsets": [0, 48]});
    let nan = folder.path().join("nan.safetensors");
    capture.write(&nan);
    detect(&nan, &hsd, &["k", "finite"]);
    detect(&dumped("nan.npy"), &hsd, &["3 dimensions"]);
    detect(&dumped("i32.npy"), &hsd, &[]);
    detect(&dumped("object.npy"), &hsd, &[]);
    detect(&dumped("sparse.pt"), &hsd, &[]);
    detect(&dumped("scalar.npy"), &hsd, &[]);
    detect(&dumped("f16.npy"), &["--layout", "bhsd"], &["4 dimensions"]);
    detect(&dumped("export.py"), &[], &[]);
    detect(&dumped("f16.npy"), &["--layout", "hsd", "--skip-first", "1000000"], &[]);
    let args = ["detect", arg(&dumped("two.npz")), "--name", "nobody"].map(str::to_owned);
    refused(&args.each_ref().map(String::as_str), &["nobody"]);
    for name in ["f16.npy", "two.npz", "dict.pt", "bare-legacy.pt"] {
        let whole = fs::read(dumped(name)).unwrap();
        for length in [0, 1, 7, whole.len() / 2, whole.len() - 1] {
            let path = folder.path().join(name);
            fs::write(&path, &whole[..length]).unwrap();
            detect(&path, &hsd, &[]);
        }
    }
}

#[test]
fn names_with_control_characters_stay_on_one_line() {
    let folder: TempDir = tempdir().unwrap();
    no_checkpoint(&folder.path().join("two\nlines\x1b[31m.gguf"), &["two lines [31m.gguf"]);
}
