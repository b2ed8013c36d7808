//! Small checkpoints for the tests to break: safetensors and GGUF as the formats lay them out.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::{TempDir, tempdir};

/// Copies the files of a folder.
pub fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

/// A copy of the fixture `llama-gqa-tied`: 3 layers, 71 tokens, no tokenizer.
pub fn small_model() -> TempDir {
    let folder = tempdir().expect("a folder");
    copy(&super::fixture("models/llama-gqa-tied"), folder.path());
    fs::remove_file(folder.path().join("expected.safetensors")).expect("the expected tensors");
    folder
}

/// Changes a file of JSON.
pub fn edit_json(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = super::json(path);
    change(&mut value);
    fs::write(path, value.to_string()).expect("the file is written");
}

/// A safetensors file: the length of its header, the header, the numbers.
pub struct Safetensors {
    /// The length that the file claims, if not the header's.
    pub length: Option<u64>,
    pub header: Value,
    pub numbers: Vec<u8>,
}

impl Safetensors {
    /// Changes a file.
    pub fn edit(path: &Path, change: impl FnOnce(&mut Self)) {
        let bytes = fs::read(path).expect("the file is read");
        let length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
        let header = serde_json::from_slice(&bytes[8..8 + length]).expect("a header");
        let mut file = Self { length: None, header, numbers: bytes[8 + length..].to_vec() };
        change(&mut file);
        file.write(path);
    }

    pub fn write(&self, path: &Path) {
        let header = self.header.to_string().into_bytes();
        let length = self.length.unwrap_or(header.len() as u64);
        let bytes = [&length.to_le_bytes()[..], &header, &self.numbers].concat();
        fs::write(path, bytes).expect("the file is written");
    }

    /// A tensor's entry in the header.
    pub fn tensor(&mut self, name: &str) -> &mut Value {
        self.header.get_mut(name).unwrap_or_else(|| panic!("no tensor {name}"))
    }

    fn range(&mut self, name: &str) -> std::ops::Range<usize> {
        let offsets = self.tensor(name)["data_offsets"].clone();
        let offset = |at: usize| offsets[at].as_u64().expect("an offset") as usize;
        offset(0)..offset(1)
    }

    /// Gives a tensor another name.
    pub fn rename(&mut self, name: &str, new: &str) {
        let header = self.header.as_object_mut().expect("an object");
        let entry = header.remove(name).expect("the tensor");
        header.insert(new.to_owned(), entry);
    }

    /// Adds a tensor that is a copy of another.
    pub fn copy(&mut self, name: &str, new: &str) {
        let range = self.range(name);
        let (begin, numbers) = (self.numbers.len(), self.numbers[range].to_vec());
        self.numbers.extend(numbers);
        let mut entry = self.tensor(name).clone();
        entry["data_offsets"] = serde_json::json!([begin, self.numbers.len()]);
        self.header[new] = entry;
    }

    /// Sets every byte of a tensor: 0xff makes every number of any float type NaN.
    pub fn fill(&mut self, name: &str, byte: u8) {
        let range = self.range(name);
        self.numbers[range].fill(byte);
    }
}

/// A GGUF file, to be changed at places found by the names before them.
pub struct Gguf {
    pub bytes: Vec<u8>,
}

impl Gguf {
    /// Where the count of tensors stands.
    pub const TENSORS: usize = 8;
    /// Where the count of metadata entries stands.
    pub const ENTRIES: usize = 16;
    /// Where the length of the first metadata key stands.
    pub const FIRST_KEY: usize = 24;

    pub fn read(path: &Path) -> Self {
        Self { bytes: fs::read(path).expect("a GGUF") }
    }

    fn find(&self, name: &str) -> usize {
        let needle = [&(name.len() as u64).to_le_bytes()[..], name.as_bytes()].concat();
        let at = self.bytes.windows(needle.len()).position(|window| window == needle);
        at.unwrap_or_else(|| panic!("no {name}")) + 8
    }

    /// The place after a string of the file: a metadata value's type (u32), or a tensor's count of
    /// axes (u32), extents (u64 each), type (u32) and offset (u64).
    pub fn after(&self, name: &str) -> usize {
        self.find(name) + name.len()
    }

    /// Writes another string of the same length over the first one.
    pub fn replace(&mut self, name: &str, new: &str) {
        assert_eq!(name.len(), new.len());
        let at = self.find(name);
        self.bytes[at..at + name.len()].copy_from_slice(new.as_bytes());
    }

    pub fn set_u32(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    pub fn set_u64(&mut self, at: usize, value: u64) {
        self.bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
}
