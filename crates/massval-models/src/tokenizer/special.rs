//! Special tokens: which ids they have, and whether encoding adds them.

use tokenizers::processors::template::TemplateProcessing;

/// Whether encoding adds the special tokens that the model expects around a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpecialTokens {
    /// BOS and EOS exactly where transformers' `tokenizer(text)` adds them.
    #[default]
    AsModel,
    /// None, as transformers' `add_special_tokens=False`.
    None,
}

/// The special tokens of a model.
#[derive(Debug, Default, Clone)]
pub(super) struct SpecialIds {
    pub(super) bos: Option<u32>,
    pub(super) eos: Vec<u32>,
    pub(super) pad: Option<u32>,
    pub(super) unk: Option<u32>,
    /// What a chat template sees under these names: `bos_token`, `eos_token`, ...
    pub(super) named: Vec<(String, String)>,
}

/// A token to add at one end of a text, with its id.
pub(super) type Edge = Option<(String, u32)>;

/// Makes `inner` add `bos` before and `eos` after a text, and nothing else: what transformers'
/// `update_post_processor` does.
pub(super) fn set_edges(
    inner: &mut tokenizers::Tokenizer,
    bos: Edge,
    eos: Edge,
) -> Result<(), String> {
    // The pieces go in as a list: tokens may hold spaces and colons, which the textual form of a
    // template would take apart.
    let mut single = Vec::new();
    let mut tokens = Vec::new();
    if let Some((token, id)) = bos {
        single.push(piece(&token));
        tokens.push((token, id));
    }
    single.push(serde_json::json!({"Sequence": {"id": "A", "type_id": 0}}));
    if let Some((token, id)) = eos {
        single.push(piece(&token));
        tokens.push((token, id));
    }
    let pair = single
        .iter()
        .cloned()
        .chain([serde_json::json!({"Sequence": {"id": "B", "type_id": 1}})])
        .collect::<Vec<_>>();
    let special: serde_json::Map<_, _> = tokens
        .into_iter()
        .map(|(token, id)| {
            let entry = serde_json::json!({"id": token, "ids": [id], "tokens": [token]});
            (token, entry)
        })
        .collect();
    let template = serde_json::json!({
        "type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special,
    });
    let template: TemplateProcessing =
        serde_json::from_value(template).map_err(|e| e.to_string())?;
    inner.with_post_processor(Some(template));
    Ok(())
}

fn piece(token: &str) -> serde_json::Value {
    serde_json::json!({"SpecialToken": {"id": token, "type_id": 0}})
}
