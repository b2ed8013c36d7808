//! Refuses a `tokenizer.json` that would make the `tokenizers` crate panic, exhaust the memory or
//! give ids that differ from the ones the file states.

use std::collections::HashMap;

use serde_json::Value;

/// Longest piece of a unigram vocabulary, in bytes. The crate keeps pieces in a tree that is one
/// level deep per byte and is freed recursively; real pieces have a few dozen bytes.
const MAX_UNIGRAM_PIECE: usize = 2048;

/// Ids above this cannot index any embedding, and would overflow later arithmetic.
const MAX_ID: u64 = i32::MAX as u64;

/// What is wrong with a parsed `tokenizer.json`, naming the field.
pub(super) fn tokenizer_json(root: &Value) -> Result<(), String> {
    let root = root.as_object().ok_or("not a JSON object")?;
    let model = root.get("model").ok_or("model: missing")?;
    let model = model.as_object().ok_or("model: not an object")?;
    match model.get("type").and_then(Value::as_str) {
        Some("BPE") => bpe(model)?,
        Some("Unigram") => unigram(model)?,
        Some("WordPiece" | "WordLevel") => {
            vocab(model)?;
        }
        Some(other) => {
            return Err(format!(
                "model.type: {other:?} is unknown; known are BPE, Unigram, WordPiece, WordLevel"
            ));
        }
        // Old files leave the type out; the fields tell.
        None if model.contains_key("merges") => bpe(model)?,
        None if model.get("vocab").is_some_and(Value::is_array) => unigram(model)?,
        None => {
            vocab(model)?;
        }
    }
    for field in ["normalizer", "pre_tokenizer", "decoder", "post_processor"] {
        if let Some(part) = root.get(field) {
            component(field, part)?;
        }
    }
    added_tokens(root.get("added_tokens"))
}

/// `(id, content)` of the added tokens that a parsed `tokenizer.json` states.
pub(super) fn stated_tokens(root: &Value) -> impl Iterator<Item = (u64, &str)> {
    root.get("added_tokens")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|token| Some((token.get("id")?.as_u64()?, token.get("content")?.as_str()?)))
}

type Object = serde_json::Map<String, Value>;

fn vocab(model: &Object) -> Result<HashMap<&str, u32>, String> {
    let entries = model
        .get("vocab")
        .ok_or("model.vocab: missing")?
        .as_object()
        .ok_or("model.vocab: not an object of token to id")?;
    let mut ids = HashMap::with_capacity(entries.len());
    let mut owners: HashMap<u64, &str> = HashMap::with_capacity(entries.len());
    for (token, id) in entries {
        let id = id.as_u64().filter(|id| *id <= MAX_ID).ok_or_else(|| {
            format!("model.vocab: token {token:?} has id {id}, not a whole number below 2^31")
        })?;
        if let Some(other) = owners.insert(id, token) {
            return Err(format!("model.vocab: tokens {other:?} and {token:?} both have id {id}"));
        }
        ids.insert(token.as_str(), id as u32);
    }
    Ok(ids)
}

fn bpe(model: &Object) -> Result<(), String> {
    let ids = vocab(model)?;
    match model.get("dropout") {
        None | Some(Value::Null) => {}
        Some(p) if p.as_f64() == Some(0.0) => {}
        Some(p) => {
            return Err(format!(
                "model.dropout: {p}; a tokenizer that drops merges at random gives no repeatable \
                 ids, set it to null"
            ));
        }
    }
    if let Some(unk) = model.get("unk_token").and_then(Value::as_str)
        && !ids.contains_key(unk)
    {
        return Err(format!("model.unk_token: {unk:?} is not in the vocabulary"));
    }
    let prefix = model.get("continuing_subword_prefix").and_then(Value::as_str).unwrap_or("");
    let merges = model
        .get("merges")
        .ok_or("model.merges: missing")?
        .as_array()
        .ok_or("model.merges: not a list")?;
    for (i, merge) in merges.iter().enumerate() {
        let pair = match merge {
            Value::String(line) if line.starts_with("#version") => continue,
            Value::String(line) => line.split_once(' ').filter(|(_, b)| !b.contains(' ')),
            Value::Array(pair) => match pair.as_slice() {
                [Value::String(a), Value::String(b)] => Some((a.as_str(), b.as_str())),
                _ => None,
            },
            _ => None,
        };
        let (a, b) = pair.ok_or_else(|| format!("model.merges[{i}]: not a pair of tokens"))?;
        merge_pair(a, b, prefix, |token| ids.contains_key(token))
            .map_err(|what| format!("model.merges[{i}]: {what}"))?;
    }
    Ok(())
}

/// What is wrong with the merge of `a` and `b`. The crate writes the merged token into a buffer
/// as long as the longest known token, and cuts the prefix off `b` unseen.
pub(super) fn merge_pair(
    a: &str,
    b: &str,
    prefix: &str,
    known: impl Fn(&str) -> bool,
) -> Result<(), String> {
    for token in [a, b] {
        if !known(token) {
            return Err(format!("token {token:?} is not in the vocabulary"));
        }
    }
    let tail = b
        .get(prefix.len()..)
        .ok_or_else(|| format!("token {b:?} is shorter than continuing_subword_prefix"))?;
    let merged = format!("{a}{tail}");
    if known(&merged) {
        Ok(())
    } else {
        Err(format!("{a:?} and {b:?} merge into {merged:?}, which is not in the vocabulary"))
    }
}

fn unigram(model: &Object) -> Result<(), String> {
    let pieces = model
        .get("vocab")
        .ok_or("model.vocab: missing")?
        .as_array()
        .ok_or("model.vocab: not a list of [piece, score]")?;
    for (i, entry) in pieces.iter().enumerate() {
        let Some([Value::String(piece), Value::Number(score)]) =
            entry.as_array().map(Vec::as_slice)
        else {
            return Err(format!("model.vocab[{i}]: not [piece, score]"));
        };
        unigram_piece(piece, score.as_f64().unwrap_or(f64::NAN))
            .map_err(|what| format!("model.vocab[{i}]: {what}"))?;
    }
    match model.get("unk_id") {
        None | Some(Value::Null) => Ok(()),
        Some(id) => match id.as_u64() {
            Some(id) if id < pieces.len() as u64 => Ok(()),
            _ => Err(format!(
                "model.unk_id: {id} is no id of the vocabulary of {} pieces",
                pieces.len()
            )),
        },
    }
}

/// What is wrong with one piece of a unigram vocabulary.
pub(super) fn unigram_piece(piece: &str, score: f64) -> Result<(), String> {
    if !score.is_finite() {
        return Err(format!("the score of {piece:?} is not a finite number"));
    }
    if piece.len() > MAX_UNIGRAM_PIECE {
        return Err(format!(
            "a piece of {} bytes; the longest allowed has {MAX_UNIGRAM_PIECE}",
            piece.len()
        ));
    }
    Ok(())
}

/// Walks a normalizer, pre-tokenizer, decoder or post-processor, sequences included.
fn component(at: &str, value: &Value) -> Result<(), String> {
    match value {
        Value::Array(parts) => {
            for (i, part) in parts.iter().enumerate() {
                component(&format!("{at}[{i}]"), part)?;
            }
        }
        Value::Object(fields) => {
            let number = |name: &str| fields.get(name).and_then(Value::as_u64);
            match fields.get("type").and_then(Value::as_str) {
                Some("FixedLength") if number("length") == Some(0) => {
                    return Err(format!("{at}.length: must be at least 1"));
                }
                Some("Strip") if number("stop").is_some_and(|stop| stop > 0) => {
                    return Err(format!(
                        "{at}.stop: stripping the end of tokens is not supported, set it to 0"
                    ));
                }
                Some("Precompiled") => charsmap(at, fields)?,
                _ => {}
            }
            for (name, part) in fields {
                if part.is_array() || part.is_object() {
                    component(&format!("{at}.{name}"), part)?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// The first four bytes of a charsmap are the length of its tree, for which the crate reserves
/// memory without looking whether the tree is there.
pub(super) fn charsmap_length(charsmap: &[u8]) -> Result<(), String> {
    match charsmap.split_first_chunk::<4>() {
        Some((length, rest)) if tree_fits(u32::from_le_bytes(*length), rest.len() as u64) => Ok(()),
        _ => Err("truncated".to_owned()),
    }
}

fn tree_fits(length: u32, rest: u64) -> bool {
    (4..=rest).contains(&u64::from(length))
}

/// [`charsmap_length`] of a charsmap in base64.
fn charsmap(at: &str, fields: &Object) -> Result<(), String> {
    let text = fields
        .get("precompiled_charsmap")
        .and_then(Value::as_str)
        .ok_or_else(|| format!("{at}.precompiled_charsmap: missing"))?;
    let wrong = || format!("{at}.precompiled_charsmap: truncated or not base64");
    let mut bits = 0u64;
    for c in text.bytes().take(6) {
        let six = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return Err(wrong()),
        };
        bits = bits << 6 | u64::from(six);
    }
    let length = ((bits >> 4) as u32).swap_bytes();
    let bytes = (text.len() as u64 / 4) * 3;
    match text.len() >= 8 && tree_fits(length, bytes.saturating_sub(4)) {
        true => Ok(()),
        false => Err(wrong()),
    }
}

fn added_tokens(list: Option<&Value>) -> Result<(), String> {
    let list = match list {
        None | Some(Value::Null) => return Ok(()),
        Some(list) => list.as_array().ok_or("added_tokens: not a list")?,
    };
    let mut owners: HashMap<u64, &str> = HashMap::with_capacity(list.len());
    for (i, token) in list.iter().enumerate() {
        let content = token
            .get("content")
            .and_then(Value::as_str)
            .ok_or_else(|| format!("added_tokens[{i}].content: missing"))?;
        let id = token
            .get("id")
            .and_then(Value::as_u64)
            .filter(|id| *id <= MAX_ID)
            .ok_or_else(|| format!("added_tokens[{i}].id: not a whole number below 2^31"))?;
        match owners.insert(id, content) {
            Some(other) if other != content => {
                return Err(format!("added_tokens: {other:?} and {content:?} both have id {id}"));
            }
            _ => {}
        }
    }
    Ok(())
}
