//! The tokenizer of a Hugging Face folder: `tokenizer.json` and the files that complete it.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::{AddedToken, ModelWrapper};

use super::chat::ChatTemplate;
use super::special::SpecialIds;
use super::{Tokenizer, check, guard, text::read_text};
use crate::{Error, Result};

/// The names under which transformers keeps special tokens, each a single token.
const NAMED: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

pub(super) fn load(dir: &Path) -> Result<Tokenizer> {
    let path = dir.join("tokenizer.json");
    let (root, mut inner) = tokenizer_json(dir, &path)?;
    let files = Files::read(dir)?;
    let fail = |what: String| Error::Tokenizer { path: path.clone(), what };

    files.add_tokens(&mut inner).map_err(fail)?;
    for (id, content) in check::stated_tokens(&root) {
        let got = inner.token_to_id(content).map(u64::from);
        if got != Some(id) && !content.is_empty() {
            return Err(fail(format!(
                "added_tokens: {content:?} is stated to have id {id}, but the tokens before it \
                 leave it {}",
                got.map_or_else(|| "none".into(), |got| got.to_string())
            )));
        }
    }

    let named = files.named(&inner);
    let id = |name: &str| {
        named.iter().find(|(n, _)| n == name).and_then(|(_, token)| inner.token_to_id(token))
    };
    let special = SpecialIds {
        bos: id("bos_token").or(files.config_id("bos_token_id")),
        eos: match files.eos_ids()? {
            Some(ids) => ids,
            None => id("eos_token").into_iter().collect(),
        },
        pad: id("pad_token").or(files.config_id("pad_token_id")),
        unk: id("unk_token"),
        named,
    };
    let clean_up = files.flag("clean_up_tokenization_spaces")? == Some(true)
        && !matches!(inner.get_model(), ModelWrapper::BPE(_));
    let chat = files.chat_template()?;
    Tokenizer::assemble(inner, path, special, chat, clean_up)
}

fn tokenizer_json(dir: &Path, path: &Path) -> Result<(Value, tokenizers::Tokenizer)> {
    let fail = |what: String| Error::Tokenizer { path: path.to_owned(), what };
    let bytes = match std::fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && dir.is_dir() => {
            return Err(fail(
                ["tokenizer.model", "vocab.json", "tekken.json"]
                    .into_iter()
                    .find(|name| dir.join(name).is_file())
                    .map_or_else(
                        || "missing; the folder holds no tokenizer".into(),
                        |name| {
                            format!(
                                "missing; the folder holds only {name}: load it with transformers \
                                 and save_pretrained, which writes tokenizer.json"
                            )
                        },
                    ),
            ));
        }
        read => read.map_err(|e| Error::io(path, e))?,
    };
    let root = serde_json::from_slice(&bytes).map_err(|e| fail(format!("not valid JSON: {e}")))?;
    check::tokenizer_json(&root).map_err(fail)?;
    let inner =
        guard::call(path, "loading", || tokenizers::Tokenizer::from_bytes(bytes.as_slice()))?;
    Ok((root, inner))
}

/// The JSON files beside `tokenizer.json`, each `Null` where absent.
struct Files {
    dir: PathBuf,
    tokenizer_config: Value,
    special_tokens_map: Value,
    generation_config: Value,
    config: Value,
}

impl Files {
    fn read(dir: &Path) -> Result<Self> {
        Ok(Self {
            dir: dir.to_owned(),
            tokenizer_config: optional_json(&dir.join("tokenizer_config.json"))?,
            special_tokens_map: optional_json(&dir.join("special_tokens_map.json"))?,
            generation_config: optional_json(&dir.join("generation_config.json"))?,
            config: optional_json(&dir.join("config.json"))?,
        })
    }

    fn tokenizer_config_error(&self, field: &str, what: impl Into<String>) -> Error {
        Error::config(&self.dir.join("tokenizer_config.json"), field, what)
    }

    /// A flag of `tokenizer_config.json`; null counts as written down and false.
    fn flag(&self, name: &str) -> Result<Option<bool>> {
        match self.tokenizer_config.get(name) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(false)),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => {
                Err(self.tokenizer_config_error(name, format!("{other} is neither true nor false")))
            }
        }
    }

    /// The special tokens by name. Where no file has any, those that transformers' class for the
    /// model has by default, if they are in the vocabulary.
    fn named(&self, inner: &tokenizers::Tokenizer) -> Vec<(String, String)> {
        NAMED
            .iter()
            .filter_map(|name| {
                let token = self.stated(name).unwrap_or_else(|| {
                    let token = self.default_token(name)?;
                    inner.token_to_id(token).map(|_| token.to_owned())
                })?;
                Some(((*name).to_owned(), token))
            })
            .collect()
    }

    /// What the files say of a special token: not a word, that there is none, or its text.
    fn stated(&self, name: &str) -> Option<Option<String>> {
        [&self.tokenizer_config, &self.special_tokens_map]
            .into_iter()
            .find_map(|file| file.get(name))
            .map(|value| content(value).map(ToOwned::to_owned))
    }

    fn default_token(&self, name: &str) -> Option<&'static str> {
        let class = match self.tokenizer_config.get("tokenizer_class").and_then(Value::as_str) {
            Some(class) => class.trim_end_matches("Fast"),
            None if self.config.get("model_type").and_then(Value::as_str) == Some("gpt2") => {
                "GPT2Tokenizer"
            }
            None => return None,
        };
        Some(match (class, name) {
            ("GPT2Tokenizer", "bos_token" | "eos_token" | "unk_token") => "<|endoftext|>",
            ("LlamaTokenizer", "bos_token") => "<s>",
            ("LlamaTokenizer", "eos_token") => "</s>",
            ("LlamaTokenizer" | "GemmaTokenizer", "unk_token") => "<unk>",
            ("GemmaTokenizer", "bos_token") => "<bos>",
            ("GemmaTokenizer", "eos_token") => "<eos>",
            ("GemmaTokenizer", "pad_token") => "<pad>",
            ("Qwen2Tokenizer", "eos_token" | "pad_token" | "unk_token") => "<|endoftext|>",
            _ => return None,
        })
    }

    /// Adds what `tokenizer_config.json` has beyond `tokenizer.json`: `added_tokens_decoder` in
    /// the order of its ids, then special tokens that are no added tokens yet.
    fn add_tokens(&self, inner: &mut tokenizers::Tokenizer) -> std::result::Result<(), String> {
        let mut listed = Vec::new();
        if let Some(decoder) = self.tokenizer_config.get("added_tokens_decoder") {
            let decoder = decoder
                .as_object()
                .ok_or("tokenizer_config.json: added_tokens_decoder: not an object")?;
            for (key, token) in decoder {
                let wrong = || format!("tokenizer_config.json: added_tokens_decoder: {key:?}");
                let id: u32 = key.parse().map_err(|_| format!("{} is not an id", wrong()))?;
                let token: AddedToken = serde_json::from_value(token.clone())
                    .map_err(|e| format!("{}: {e}", wrong()))?;
                listed.push((id, token));
            }
            listed.sort_by_key(|(id, _)| *id);
        }
        let add = |inner: &mut tokenizers::Tokenizer, tokens: Vec<AddedToken>| {
            inner.add_tokens(tokens).map_err(|e| format!("special tokens: {e}")).map(|_| ())
        };
        add(inner, listed.iter().map(|(_, token)| token.clone()).collect())?;
        for (id, token) in &listed {
            let got = inner.token_to_id(&token.content);
            if got != Some(*id) && !token.content.is_empty() {
                return Err(format!(
                    "tokenizer_config.json: added_tokens_decoder says that {:?} has id {id}, but \
                     tokenizer.json gives it {}",
                    token.content,
                    got.map_or_else(|| "none".into(), |got| got.to_string())
                ));
            }
        }
        let present: Vec<String> =
            inner.get_added_tokens_decoder().values().map(|t| t.content.clone()).collect();
        let missing = self
            .named(inner)
            .into_iter()
            .map(|(_, token)| token)
            .filter(|token| !present.contains(token))
            .map(|token| AddedToken::from(token, true))
            .collect();
        add(inner, missing)
    }

    /// An id that the generation config or else the model's config has. Old configs write -1 for
    /// none.
    fn config_id(&self, name: &str) -> Option<u32> {
        [&self.generation_config, &self.config]
            .into_iter()
            .find_map(|file| file.get(name).filter(|v| !v.is_null()))
            .and_then(Value::as_u64)
            .and_then(|id| u32::try_from(id).ok())
    }

    fn eos_ids(&self) -> Result<Option<Vec<u32>>> {
        let files =
            [("generation_config.json", &self.generation_config), ("config.json", &self.config)];
        for (name, file) in files {
            let ids = match file.get("eos_token_id") {
                None | Some(Value::Null) => continue,
                Some(Value::Array(ids)) => ids.as_slice(),
                Some(id) => std::slice::from_ref(id),
            };
            return ids
                .iter()
                .map(|id| {
                    id.as_u64().and_then(|id| u32::try_from(id).ok()).ok_or_else(|| {
                        let path = self.dir.join(name);
                        Error::config(&path, "eos_token_id", format!("{id} is no token id"))
                    })
                })
                .collect::<Result<Vec<_>>>()
                .map(Some);
        }
        Ok(None)
    }

    fn chat_template(&self) -> Result<Option<ChatTemplate>> {
        let file = self.dir.join("chat_template.jinja");
        if file.is_file() {
            return Ok(Some(ChatTemplate::new(read_text(&file)?)));
        }
        let wrong = |what: &str| self.tokenizer_config_error("chat_template", what);
        match self.tokenizer_config.get("chat_template") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(source)) => Ok(Some(ChatTemplate::new(source.clone()))),
            Some(Value::Array(list)) => {
                let mut names = Vec::new();
                for entry in list {
                    let field = |name| entry.get(name).and_then(Value::as_str);
                    match (field("name"), field("template")) {
                        (Some("default"), Some(source)) => {
                            return Ok(Some(ChatTemplate::new(source.to_owned())));
                        }
                        (Some(name), Some(_)) => names.push(name),
                        _ => return Err(wrong("a list entry lacks its name or its template")),
                    }
                }
                Err(wrong(&format!("none of its templates is named \"default\": {names:?}")))
            }
            Some(_) => Err(wrong("neither a text nor a list of named texts")),
        }
    }
}

/// The text of a special token, which files write as a string or as an object.
fn content(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}

fn optional_json(path: &Path) -> Result<Value> {
    match std::fs::read(path) {
        Ok(bytes) => {
            let value: Value = serde_json::from_slice(&bytes)
                .map_err(|e| Error::format(path, "JSON", e.to_string()))?;
            if value.is_object() {
                Ok(value)
            } else {
                Err(Error::format(path, "JSON", "not an object"))
            }
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Value::Null),
        Err(e) => Err(Error::io(path, e)),
    }
}
