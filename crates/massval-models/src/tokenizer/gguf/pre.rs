//! How text is cut before merging: what the names in `tokenizer.ggml.pre` stand for.
//!
//! Patterns and groups as in llama.cpp (`llm_tokenizer_bpe`) and transformers
//! (`GGUF_PRE_TOKENIZER_SPLITS`).

use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::punctuation::Punctuation;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior};

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

// As transformers writes it, a class within a class; every engine reads it as this one.
const BLOOM: &str = r" ?[^(\s|.,!?…。，、।۔،)]+";

/// A way to cut text, with what llama.cpp and the original tokenizers tie to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pre {
    cut: Cut,
    /// A piece of text that is a token is that token, even if no merges lead to it.
    pub(super) ignore_merges: bool,
    /// Whether a text begins with BOS where the file does not say.
    pub(super) add_bos: bool,
}

#[derive(Debug, Clone, Copy)]
enum Cut {
    /// GPT-2's pattern.
    Gpt2,
    /// Every digit on its own, then GPT-2's pattern.
    DigitsGpt2,
    /// Runs of punctuation, then GPT-2's pattern, then digits by threes from the left.
    Falcon,
    Pattern(&'static str),
}

const GROUPS: &[(Pre, &[&str])] = &[
    (
        Pre { cut: Cut::Gpt2, ignore_merges: false, add_bos: false },
        &["default", "gpt-2", "phi-2", "roberta-bpe", "mpt", "olmo", "jais"],
    ),
    (
        Pre { cut: Cut::DigitsGpt2, ignore_merges: false, add_bos: false },
        &["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"],
    ),
    (
        Pre { cut: Cut::Pattern(LLAMA3), ignore_merges: true, add_bos: true },
        &["llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "lfm2"],
    ),
    (
        Pre { cut: Cut::Pattern(LLAMA3), ignore_merges: false, add_bos: false },
        &["dbrx", "smaug-bpe"],
    ),
    (
        Pre { cut: Cut::Pattern(QWEN2), ignore_merges: false, add_bos: false },
        &["qwen2", "stablelm2", "deepseek-r1-qwen", "megrez"],
    ),
    (Pre { cut: Cut::Falcon, ignore_merges: false, add_bos: false }, &["falcon"]),
    (
        Pre { cut: Cut::Pattern(BLOOM), ignore_merges: false, add_bos: false },
        &["bloom", "gpt3-finnish"],
    ),
    (Pre { cut: Cut::Pattern(TEKKEN), ignore_merges: true, add_bos: true }, &["tekken"]),
    (Pre { cut: Cut::Pattern(GPT4O), ignore_merges: false, add_bos: false }, &["gpt-4o", "llama4"]),
];

impl Pre {
    /// The way of that name. Old files name none; transformers cuts those as GPT-2 does.
    pub(super) fn named(name: Option<&str>) -> Result<Self, String> {
        let name = name.unwrap_or("default");
        GROUPS.iter().find(|(_, names)| names.contains(&name)).map(|(pre, _)| *pre).ok_or_else(
            || {
                let mut known: Vec<&str> =
                    GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
                known.sort_unstable();
                format!(
                    "tokenizer.ggml.pre: {name:?} is unknown, and a guess would give wrong ids; \
                     known are {}",
                    known.join(", ")
                )
            },
        )
    }

    pub(super) fn pre_tokenizer(self) -> Result<PreTokenizerWrapper, String> {
        let bytes = |use_regex| ByteLevel::new(false, true, use_regex);
        Ok(match self.cut {
            Cut::Gpt2 => bytes(true).into(),
            Cut::DigitsGpt2 => {
                Sequence::new(vec![Digits::new(true).into(), bytes(true).into()]).into()
            }
            Cut::Falcon => Sequence::new(vec![
                Punctuation::new(SplitDelimiterBehavior::Contiguous).into(),
                bytes(true).into(),
                Digits::new(false).into(),
                isolated("[0-9][0-9][0-9]")?.into(),
            ])
            .into(),
            Cut::Pattern(pattern) => {
                Sequence::new(vec![isolated(pattern)?.into(), bytes(false).into()]).into()
            }
        })
    }
}

/// Every match of a pattern on its own, and what lies between.
fn isolated(pattern: &str) -> Result<Split, String> {
    let pattern = SplitPattern::Regex(pattern.to_owned());
    Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_has_a_pre_tokenizer() {
        for (_, names) in GROUPS {
            for name in *names {
                let pre = Pre::named(Some(name)).and_then(Pre::pre_tokenizer);
                assert!(pre.is_ok(), "{name}: {pre:?}");
            }
        }
    }

    #[test]
    fn an_unknown_name_is_no_guess() {
        let error = Pre::named(Some("klingon")).expect_err("nobody trained this");
        assert!(error.contains("klingon") && error.contains("smollm"), "{error}");
    }
}
