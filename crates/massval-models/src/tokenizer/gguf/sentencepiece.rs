//! `tokenizer.ggml.model` = `llama`: SentencePiece BPE with byte fallback.
//!
//! Such a file scores its tokens and lists no merges. As transformers does, every way to put a
//! token together from two others becomes a merge, the best token first. transformers has three
//! shapes, which differ in how they treat spaces; which one a model wants, only its architecture
//! tells.

use std::collections::HashMap;

use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as Decoders;
use tokenizers::decoders::strip::Strip;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::{Prepend, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::split::Split;
use tokenizers::{DecoderWrapper, SplitDelimiterBehavior};

use super::{Built, GgufTokenizer, SPACE};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// One space before the text, unless it begins with one.
    Llama { space_prefix: bool },
    /// One space before every stretch of text.
    Phi3,
    /// No space added; scores do not follow the order of merges, the ids do.
    Gemma,
}

pub(super) fn build(gguf: &GgufTokenizer) -> Result<Built, String> {
    gguf.refuse_charsmap()?;
    let shape = match gguf.architecture.as_str() {
        "gemma" | "gemma2" | "gemma3" => Shape::Gemma,
        "phi3" => Shape::Phi3,
        _ => Shape::Llama { space_prefix: gguf.add_space_prefix.unwrap_or(true) },
    };
    let tokens: Vec<String> = gguf
        .tokens
        .iter()
        .map(|token| match shape {
            Shape::Gemma if token.contains(' ') && token.trim().is_empty() => {
                token.chars().map(|_| SPACE).collect()
            }
            _ => token.clone(),
        })
        .collect();
    let vocab: Vocab = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| !token.is_empty())
        .map(|(id, token)| (token.clone(), id as u32))
        .collect();
    let merges = if gguf.merges.is_empty() {
        let scores: Vec<f64> = match shape {
            Shape::Gemma => (0..tokens.len()).map(|id| -(id as f64)).collect(),
            _ => gguf.scores.iter().copied().map(f64::from).collect(),
        };
        merges_from_scores(&tokens, &scores)?
    } else {
        gguf.merge_pairs(|token| vocab.contains_key(token))?
    };

    let mut bpe = BPE::builder().fuse_unk(true).byte_fallback(true);
    if let Some(unk) = gguf.unk {
        bpe = bpe.unk_token(gguf.token("unknown_token_id", unk)?.to_owned());
    }
    let bpe = bpe.vocab_and_merges(vocab, merges).build().map_err(|e| e.to_string())?;
    let mut inner = tokenizers::Tokenizer::new(bpe);
    set_spaces(&mut inner, shape).map_err(|e| e.to_string())?;
    Ok(Built { inner, add_bos: true, add_eos: false })
}

fn set_spaces(inner: &mut tokenizers::Tokenizer, shape: Shape) -> tokenizers::Result<()> {
    let visible = || Replace::new(" ", SPACE.to_string());
    let mut decoders: Vec<DecoderWrapper> = vec![
        Replace::new(SPACE.to_string(), " ")?.into(),
        ByteFallback::default().into(),
        Fuse::default().into(),
    ];
    let strip = Strip::new(' ', 1, 0);
    match shape {
        Shape::Llama { space_prefix } => {
            let scheme = if space_prefix { PrependScheme::First } else { PrependScheme::Never };
            inner.with_pre_tokenizer(Some(Metaspace::new(SPACE, scheme, false)));
            if space_prefix {
                decoders.push(strip.into());
            }
        }
        Shape::Phi3 => {
            let prepend = Prepend::new(SPACE.to_string());
            let both = Normalizers::new(vec![prepend.into(), visible()?.into()]);
            inner.with_normalizer(Some(both))?;
            decoders.push(strip.into());
        }
        Shape::Gemma => {
            inner.with_normalizer(Some(visible()?))?;
            let behavior = SplitDelimiterBehavior::MergedWithPrevious;
            inner.with_pre_tokenizer(Some(Split::new(" ", behavior, false)?));
        }
    }
    inner.with_decoder(Some(Decoders::new(decoders)));
    Ok(())
}

/// transformers' `generate_merges`. Best score first; then the longer left part, then the longer
/// right part; then the order of the file.
fn merges_from_scores(tokens: &[String], scores: &[f64]) -> Result<Vec<(String, String)>, String> {
    if scores.len() != tokens.len() {
        return Err("tokenizer.ggml.scores: missing, and there are no merges either".into());
    }
    let ids: HashMap<&str, usize> =
        tokens.iter().enumerate().map(|(id, token)| (token.as_str(), id)).collect();
    let mut merges = Vec::new();
    for (id, (token, score)) in tokens.iter().zip(scores).enumerate() {
        if !score.is_finite() {
            return Err(format!("tokenizer.ggml.scores[{id}]: not a finite number"));
        }
        let length = token.chars().count();
        let mut ways: Vec<_> = token
            .char_indices()
            .enumerate()
            .skip(1)
            .filter_map(|(chars, (at, _))| {
                let (left, right) = token.split_at(at);
                let order = (*ids.get(left)?, *ids.get(right)?);
                Some((order, *score, chars, length - chars, left, right))
            })
            .collect();
        ways.sort_by_key(|(order, ..)| *order);
        merges.extend(ways);
    }
    merges.sort_by(|(_, a, a_left, a_right, ..), (_, b, b_left, b_right, ..)| {
        b.total_cmp(a).then(b_left.cmp(a_left)).then(b_right.cmp(a_right))
    });
    Ok(merges.into_iter().map(|(.., left, right)| (left.to_owned(), right.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_come_best_score_first_then_longest_left() {
        let tokens: Vec<String> =
            ["a", "b", "c", "ab", "bc", "abc"].into_iter().map(String::from).collect();
        let merges = merges_from_scores(&tokens, &[-9.0, -9.0, -9.0, -2.0, -1.0, -1.0])
            .expect("all scores are finite");
        let merges: Vec<_> = merges.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(merges, [("ab", "c"), ("a", "bc"), ("b", "c"), ("a", "b")]);
    }

    #[test]
    fn scores_must_be_there_and_finite() {
        let tokens = vec!["a".to_owned()];
        assert!(merges_from_scores(&tokens, &[]).is_err());
        assert!(merges_from_scores(&tokens, &[f64::NAN]).is_err());
    }
}
