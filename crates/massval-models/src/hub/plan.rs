//! Which files of a repository a model needs: its config, its tokenizer, and its weights once.

use std::collections::BTreeSet;

use crate::weights::NAMES as WEIGHTS;

/// What is read beside the config and the weights, where the repository has it. What only other
/// tools read (`vocab.json`, `tokenizer.model`, ..) is not fetched.
const OPTIONAL: [&str; 5] = [
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
];

/// The config: what says whether the weights are of any use.
pub(super) const CONFIG: &str = "config.json";

/// What to fetch of a repository, beside its config.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Tokenizer and the like, and the weights unless they come in shards.
    pub(super) files: Vec<&'static str>,
    /// The index, if they do; it names them.
    pub(super) index: Option<&'static str>,
}

/// Chooses from the names that a repository has.
///
/// # Errors
/// What it lacks to be a checkpoint.
pub(super) fn plan(names: &BTreeSet<String>) -> Result<Plan, String> {
    let has = |name: &str| names.contains(name);
    let gguf = || match names.iter().find(|name| name.ends_with(".gguf")) {
        Some(gguf) => format!("; it has GGUF files: download one (`{gguf}`) and give its path"),
        None => String::new(),
    };
    if !has(CONFIG) {
        return Err(format!("the repository has no {CONFIG}{}", gguf()));
    }
    let Some(weights) = WEIGHTS.into_iter().find(|name| has(name)) else {
        let of = WEIGHTS.join(", ");
        return Err(format!("the repository has no weights (none of {of}){}", gguf()));
    };
    let mut files: Vec<_> = OPTIONAL.into_iter().filter(|name| has(name)).collect();
    let index = weights.ends_with(".index.json").then_some(weights);
    if index.is_none() {
        files.push(weights);
    }
    Ok(Plan { files, index })
}

/// Checks that the repository has every shard of its index.
///
/// # Errors
/// The first one that it lacks.
pub(super) fn check_shards<'a>(
    index: &str,
    shards: impl IntoIterator<Item = &'a str>,
    names: &BTreeSet<String>,
) -> Result<(), String> {
    match shards.into_iter().find(|shard| !names.contains(*shard)) {
        None => Ok(()),
        Some(shard) => Err(format!(
            "{index} names the shard `{shard}`, which the repository does not have; \
             the upload is incomplete: try another revision, or tell its owner"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn weights_are_fetched_once() {
        for (first, (files, index)) in [
            (vec!["model.safetensors"], None),
            (vec![], Some("model.safetensors.index.json")),
            (vec!["pytorch_model.bin"], None),
            (vec![], Some("pytorch_model.bin.index.json")),
        ]
        .into_iter()
        .enumerate()
        {
            let mut has = vec![CONFIG, "README.md", "flax_model.msgpack", "onnx/model.onnx"];
            has.extend(&WEIGHTS[first..]);
            assert_eq!(plan(&names(&has)), Ok(Plan { files, index }));
        }
    }

    #[test]
    fn the_tokenizer_comes_along() {
        let has = names(&[
            "config.json",
            "generation_config.json",
            "model.safetensors",
            "tokenizer.json",
            "chat_template.jinja",
            "vocab.json",
            "original/tokenizer.model",
            "training_args.bin",
        ]);
        let files = plan(&has).unwrap().files;
        let expected = [
            "generation_config.json",
            "tokenizer.json",
            "chat_template.jinja",
            "model.safetensors",
        ];
        assert_eq!(files, expected);
    }

    #[test]
    fn what_is_missing_is_said() {
        for (has, said) in [
            (&["model.safetensors"][..], "no config.json"),
            (&["config.json", "tf_model.h5"], "no weights (none of model.safetensors"),
            (&["q4.gguf", "README.md"], "`q4.gguf`"),
            (&["config.json", "q4.gguf"], "`q4.gguf`"),
        ] {
            let what = plan(&names(has)).unwrap_err();
            assert!(what.contains(said), "{what}");
        }
        let has = names(&["a", "b"]);
        assert!(check_shards("i", ["a", "b"], &has).is_ok());
        assert!(check_shards("i", ["a", "c"], &has).unwrap_err().contains("shard `c`"));
    }
}
