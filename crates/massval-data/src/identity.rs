//! What names a generated set and its items.

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The name of a set together with all that decides its items.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    name: &'static str,
    value: Value,
    fingerprint: String,
}

impl Identity {
    /// Of the set `name` in its `version`, which counts up when the same options give other items;
    /// `data` is the hash of what else the items are made from.
    pub(crate) fn new(
        name: &'static str,
        version: u32,
        options: &impl Serialize,
        data: &str,
    ) -> Self {
        let value =
            json!({ "set": name, "version": version, "options": options, "data_sha256": data });
        Self::of(name, value)
    }

    /// Of a set that is made of its options alone, or with a tokenizer, too.
    pub(crate) fn generated(
        name: &'static str,
        version: u32,
        options: &impl Serialize,
        tokenizer: Option<String>,
    ) -> Self {
        let mut value = json!({ "set": name, "version": version, "options": options });
        if let Some(tokenizer) = tokenizer {
            value["tokenizer"] = Value::String(tokenizer);
        }
        Self::of(name, value)
    }

    fn of(name: &'static str, value: Value) -> Self {
        let fingerprint = sha256(&value.to_string()).chars().take(8).collect();
        Self { name, value, fingerprint }
    }

    /// The set's name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// For the results.
    pub(crate) fn value(&self) -> Value {
        self.value.clone()
    }

    /// The id of an item: `capitals/1f3a5b7d/12`. Sets that differ in any option differ in it.
    pub(crate) fn item_id(&self, index: usize) -> String {
        format!("{}/{}/{index}", self.name, self.fingerprint)
    }
}

/// The SHA-256 of `text` in hexadecimal digits.
pub(crate) fn sha256(text: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(text).into();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
