//! `tokenizer.ggml.model` = `gpt2`: byte-level BPE.

use std::collections::{BTreeSet, HashSet};

use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BPE, Vocab};

use super::pre::Pre;
use super::{Built, GgufTokenizer, TokenType};

pub(super) fn build(gguf: &GgufTokenizer) -> Result<Built, String> {
    gguf.refuse_charsmap()?;
    let pre = Pre::named(gguf.pre.as_deref())?;
    if gguf.merges.is_empty() {
        return Err("tokenizer.ggml.merges: missing or empty".into());
    }
    let vocab = vocab(gguf);
    let merges = gguf.merge_pairs(|token| vocab.contains_key(token))?;
    let bpe = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .ignore_merges(pre.ignore_merges)
        .build()
        .map_err(|e| e.to_string())?;
    let mut inner = tokenizers::Tokenizer::new(bpe);
    inner.with_pre_tokenizer(Some(pre.pre_tokenizer()?));
    inner.with_decoder(Some(ByteLevel::default()));
    Ok(Built { inner, add_bos: pre.add_bos, add_eos: false })
}

/// Tokens in the alphabet that stands for bytes. Some files spell a token as plain text; unless
/// it is looked for in the text itself, it is respelled, or the decoder could not read it.
fn vocab(gguf: &GgufTokenizer) -> Vocab {
    let alphabet: HashSet<char> = ByteLevel::alphabet().into_iter().collect();
    let spelling = byte_spelling(&alphabet);
    let written: HashSet<&str> = gguf.tokens.iter().map(String::as_str).collect();
    gguf.tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| !token.is_empty())
        .map(|(id, token)| {
            let plain = gguf.token_type(id) == TokenType::Plain;
            if !plain || token.chars().all(|c| alphabet.contains(&c)) {
                return (token.clone(), id as u32);
            }
            let spelled: String =
                token.bytes().filter_map(|b| spelling.get(usize::from(b))).collect();
            // Two ids must not end up under one spelling.
            let token = if written.contains(spelled.as_str()) { token.clone() } else { spelled };
            (token, id as u32)
        })
        .collect()
}

/// The character that stands for each byte (GPT-2's `bytes_to_unicode`): printable Latin-1 ones
/// for themselves, the others in order from U+0100.
fn byte_spelling(alphabet: &HashSet<char>) -> Vec<char> {
    let mut others =
        alphabet.iter().copied().filter(|c| *c >= '\u{100}').collect::<BTreeSet<_>>().into_iter();
    (0..=u8::MAX)
        .filter_map(|b| {
            let own = char::from(b);
            if alphabet.contains(&own) { Some(own) } else { others.next() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_spelled_as_gpt2_spells_them() {
        let alphabet = ByteLevel::alphabet().into_iter().collect();
        let spelling = byte_spelling(&alphabet);
        assert_eq!(spelling.len(), 256);
        let cases = [(b' ', 'Ġ'), (b'\n', 'Ċ'), (b'\t', 'ĉ'), (0, 'Ā'), (b'a', 'a'), (0xad, 'Ń')];
        for (byte, expected) in cases {
            assert_eq!(spelling[usize::from(byte)], expected, "byte {byte:#x}");
        }
    }
}
