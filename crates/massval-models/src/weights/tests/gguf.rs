//! GGUF files: gguf-py's, and hostile ones built byte by byte.

use super::super::gguf::parse;
use super::super::{Format, GgufArray, GgufValue, StoredType, Weights, unpermute_rows};
use super::{Folder, refused};

const QUANTS: &[u8] = include_bytes!("../../../../../fixtures/gguf-quants/quants.gguf");
const EXPECTED: &[u8] = include_bytes!("../../../../../fixtures/gguf-quants/expected.safetensors");
const NAME: &str = "w.gguf";

fn fixture(folder: &Folder) -> Weights {
    folder.open(NAME, QUANTS).unwrap()
}

#[test]
fn every_type_decodes_to_the_bits_that_gguf_py_gives() {
    let folder = Folder::new();
    let weights = fixture(&folder);
    let expected = folder.open("expected.safetensors", EXPECTED).unwrap();
    assert_eq!(weights.format(), Format::Gguf);
    assert_eq!(expected.tensors().len(), 12);
    for info in expected.tensors() {
        let found = weights.info(&info.name).unwrap();
        assert_eq!(found.shape, info.shape, "{}", info.name);
        let kind = info.name.rsplit('.').next().unwrap();
        assert_eq!(found.dtype.to_string(), kind);
        let bits = |weights: &Weights| -> Vec<u32> {
            weights.read_f32(&info.name).unwrap().iter().map(|x| x.to_bits()).collect()
        };
        assert_eq!(bits(&weights), bits(&expected), "{}", info.name);
    }
    assert_eq!(weights.info("plain.I32").unwrap().shape, [1, 2, 3]);
    assert!(weights.read_f32("plain.I32").unwrap_err().to_string().contains("I32"));
    assert_eq!(weights.read_native("plain.BF16").unwrap().0, StoredType::BF16);
    assert!(weights.read_native("blk.0.Q4_0").unwrap_err().to_string().contains("Q4_0"));
}

#[test]
fn a_permuted_projection_comes_out_in_hugging_face_order() {
    let folder = Folder::new();
    let weights = fixture(&folder);
    let (name, rows, columns) = ("blk.0.Q8_0", 4, 64);
    let unpermuted = unpermute_rows(&weights.read_f32(name).unwrap(), 4, columns).unwrap();
    let transposed = weights.read_f32_transposed_unpermuted(name, 4).unwrap();
    for row in 0..rows {
        for column in 0..columns {
            assert_eq!(unpermuted[row * columns + column], transposed[column * rows + row]);
        }
    }
}

#[test]
fn metadata_of_every_type_is_read() {
    let folder = Folder::new();
    let weights = fixture(&folder);
    let gguf = weights.gguf().unwrap();
    assert_eq!(gguf.path(), weights.files()[0]);
    assert_eq!(gguf.iter().count(), 18);
    assert_eq!(gguf.str("general.architecture").unwrap(), Some("llama"));
    assert_eq!(gguf.u64("type.u8").unwrap(), Some(200));
    assert_eq!(gguf.get("type.i8"), Some(&GgufValue::I8(-100)));
    assert_eq!(gguf.u64("type.u16").unwrap(), Some(60_000));
    assert_eq!(gguf.get("type.i16"), Some(&GgufValue::I16(-30_000)));
    assert_eq!(gguf.u64("type.u32").unwrap(), Some(4_000_000_000));
    assert_eq!(gguf.get("type.i32"), Some(&GgufValue::I32(-2_000_000_000)));
    assert_eq!(gguf.u64("type.u64").unwrap(), Some(u64::MAX));
    assert_eq!(gguf.get("type.i64"), Some(&GgufValue::I64(i64::MIN)));
    assert_eq!(gguf.f64("type.f32").unwrap(), Some(f64::from(1e-5f32)));
    assert_eq!(gguf.f64("type.f64").unwrap(), Some(0.1));
    assert_eq!(gguf.bool("type.bool").unwrap(), Some(true));
    assert_eq!(gguf.str("type.string").unwrap(), Some("schön"));
    assert_eq!(gguf.strings("type.strings").unwrap().unwrap(), ["a", "", "ß"]);
    assert_eq!(gguf.i32s("type.i32s").unwrap(), Some(&[-1, 2][..]));
    assert_eq!(gguf.f32s("type.f32s").unwrap(), Some(&[0.5, -2.0][..]));
    let bools = GgufValue::Array(GgufArray::Bool(vec![true, false]));
    assert_eq!(gguf.get("type.bools"), Some(&bools));
    let nested = [GgufArray::I32(vec![1, 2]), GgufArray::I32(vec![3])];
    assert_eq!(gguf.get("type.nested"), Some(&GgufValue::Array(GgufArray::Array(nested.into()))));
}

#[test]
fn a_key_of_another_type_is_an_error_that_names_it() {
    let folder = Folder::new();
    let weights = fixture(&folder);
    let gguf = weights.gguf().unwrap();
    assert_eq!(gguf.u64("absent").unwrap(), None);
    let missing = gguf.missing("absent").to_string();
    assert!(missing.contains(NAME) && missing.contains("absent"), "{missing}");
    for (key, error) in [
        ("type.i8", gguf.u64("type.i8").unwrap_err()),
        ("type.f32", gguf.u64("type.f32").unwrap_err()),
        ("type.u8", gguf.f64("type.u8").unwrap_err()),
        ("type.u8", gguf.bool("type.u8").unwrap_err()),
        ("type.u8", gguf.str("type.u8").unwrap_err()),
        ("type.i32s", gguf.strings("type.i32s").unwrap_err()),
        ("type.strings", gguf.i32s("type.strings").unwrap_err()),
        ("type.bool", gguf.f32s("type.bool").unwrap_err()),
    ] {
        let error = error.to_string();
        assert!(error.contains(key) && error.contains("must be"), "{error}");
    }
}

/// A GGUF file in the making.
struct Builder(Vec<u8>);

impl Builder {
    fn new(tensors: u64, pairs: u64) -> Self {
        Self(b"GGUF".to_vec()).u32(3).u64(tensors).u64(pairs)
    }

    fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn text(mut self, text: &str) -> Self {
        self = self.u64(text.len() as u64);
        self.0.extend(text.as_bytes());
        self
    }

    fn tensor(self, name: &str, dims: &[u64], kind: u32, offset: u64) -> Self {
        let start = self.text(name).u32(dims.len() as u32);
        dims.iter().fold(start, |file, &dim| file.u64(dim)).u32(kind).u64(offset)
    }

    /// The file, with `data` bytes after the next multiple of 32.
    fn data(mut self, data: usize) -> Vec<u8> {
        self.0.resize(self.0.len().next_multiple_of(32) + data, 0);
        self.0
    }
}

#[test]
fn absurd_counts_and_lengths_are_refused() {
    for huge in [u64::MAX, 1 << 60, 1 << 33, 1000] {
        refused(NAME, Builder::new(huge, 0).0, &format!("claims {huge} tensors"));
        refused(NAME, Builder::new(0, huge).0, &format!("claims {huge} metadata entries"));
        refused(
            NAME,
            Builder::new(0, 1).u64(huge).u64(0).data(0),
            &format!("{huge} bytes of text"),
        );
        for kind in [0, 5, 12] {
            let array = Builder::new(0, 1).text("k").u32(9).u32(kind).u64(huge).0;
            refused(NAME, array, &format!("claims {huge} numbers"));
        }
        let texts = Builder::new(0, 1).text("k").u32(9).u32(8).u64(huge).0;
        refused(NAME, texts, &format!("claims {huge} texts"));
        let arrays = Builder::new(0, 1).text("k").u32(9).u32(9).u64(huge).0;
        refused(NAME, arrays, &format!("claims {huge} arrays"));
    }
}

#[test]
fn arrays_nested_too_deep_are_refused() {
    let mut file = Builder::new(0, 1).text("k").u32(9);
    for _ in 0..100_000 {
        file = file.u32(9).u64(1);
    }
    refused(NAME, file.0, "`k` nests arrays deeper");
}

#[test]
fn bad_metadata_is_refused() {
    refused(NAME, Builder::new(0, 1).text("").u32(0).data(9), "a key of 0 bytes");
    refused(NAME, Builder::new(0, 1).text("k").u32(13).data(9), "`k` has the unknown type 13");
    let array = Builder::new(0, 1).text("k").u32(9).u32(13).u64(0).data(9);
    refused(NAME, array, "`k` is an array of the unknown type 13");
    let mut bool = Builder::new(0, 1).text("k").u32(7).0;
    bool.push(2);
    refused(NAME, bool, "`k`: 2 is no bool");
    let twice = Builder::new(0, 2).text("k").u32(4).u32(1).text("k").u32(4).u32(1).0;
    refused(NAME, twice, "`k` is there twice");
    let mut not_utf8 = Builder::new(0, 1).text("kk").u32(4).u32(1).0;
    not_utf8[33] = 0xff;
    refused(NAME, not_utf8, "not UTF-8");
}

#[test]
fn bad_alignment_is_refused() {
    for alignment in [0, 3, 33] {
        let file = Builder::new(0, 1).text("general.alignment").u32(4).u32(alignment).0;
        refused(NAME, file, &format!("power of two, but is {alignment}"));
    }
    let text = Builder::new(0, 1).text("general.alignment").u32(8).text("8").0;
    refused(NAME, text, "general.alignment");
    let huge = Builder::new(1, 1).text("general.alignment").u32(10).u64(1 << 63);
    refused(NAME, huge.tensor("a", &[2], 0, 0).data(64), "truncated");
    refused(NAME, Builder::new(1, 0).tensor("a", &[2], 0, 4).data(64), "no multiple of 32");
}

#[test]
fn another_alignment_is_obeyed() {
    let folder = Folder::new();
    let mut file = Builder::new(2, 1).text("general.alignment").u32(4).u32(8);
    file = file.tensor("a", &[1], 0, 0).tensor("b", &[1], 0, 8);
    file.0.resize(file.0.len().next_multiple_of(8), 0);
    file.0.extend([0, 0, 128, 63, 0, 0, 0, 0, 0, 0, 0, 64]); // 1.0, padding, 2.0
    let weights = folder.open(NAME, file.0).unwrap();
    assert_eq!(weights.read_f32("a").unwrap(), [1.0]);
    assert_eq!(weights.read_f32("b").unwrap(), [2.0]);
}

#[test]
fn tensors_outside_the_file_are_refused() {
    for offset in [64, 1 << 40, u64::MAX - 31, 1 << 63] {
        let file = Builder::new(1, 0).tensor("a", &[2], 0, offset).data(64);
        refused(NAME, file, "`a`: its data");
    }
    refused(NAME, Builder::new(1, 0).tensor("a", &[17], 0, 0).data(64), "`a`: its data");
    refused(NAME, Builder::new(1, 0).tensor("a", &[2], 0, 0).0, "truncated");
}

#[test]
fn absurd_shapes_are_refused() {
    let refused_dims = |dims: &[u64], kind: u32, expected: &str| {
        refused(NAME, Builder::new(1, 0).tensor("a", dims, kind, 0).data(64), expected);
    };
    refused_dims(&[1; 5], 0, "`a` claims 5 dimensions");
    refused_dims(&[2, 0], 0, "it has no elements");
    refused_dims(&[1 << 32, 1 << 32], 0, "overflows");
    refused_dims(&[u64::MAX], 0, "overflows");
    refused_dims(&[1 << 62, 2], 8, "overflows");
    refused_dims(&[16, 2], 2, "no whole number of Q4_0 blocks of 32");
    refused_dims(&[32], 12, "no whole number of Q4_K blocks of 256");
    refused(NAME, Builder::new(1, 0).u64(0).u32(1).u64(1).u32(0).u64(0).data(64), "tensor name");
}

#[test]
fn overlapping_and_repeated_tensors_are_refused() {
    let two = |name: &str, offset| {
        Builder::new(2, 0).tensor("a", &[9], 0, 0).tensor(name, &[1], 0, offset).data(96)
    };
    refused(NAME, two("b", 32), "`b` overlaps `a`");
    refused(NAME, two("b", 0), "overlaps");
    refused(NAME, two("a", 64), "`a` is there twice");
    Folder::new().open(NAME, two("b", 64)).unwrap();
}

#[test]
fn what_is_not_supported_is_named() {
    let refused_kind = |kind, name: &str| {
        let file = Builder::new(1, 0).tensor("a", &[256], kind, 0).data(1024);
        refused(NAME, file, &format!("`a` has the type {name}, which is not supported"));
    };
    refused_kind(10, "Q2_K");
    refused_kind(16, "IQ2_XXS");
    refused_kind(39, "MXFP4");
    refused_kind(1000, "number 1000");
    refused(NAME, b"GGUF\x01\0\0\0", "version 1");
    refused(NAME, b"GGUF\x09\0\0\0", "version 9");
    refused(NAME, b"GGUF\0\0\0\x03", "big-endian");
    refused(NAME, b"GGML\x03\0\0\0", "does not begin with `GGUF`");
    let split = Builder::new(0, 1).text("split.count").u32(2).u32(3).0;
    refused(NAME, split, "3 parts of a split model");
    refused(NAME, Builder::new(0, 0).0, "no tensor");
}

#[test]
fn a_header_cut_anywhere_is_refused() {
    let path = std::path::Path::new(NAME);
    parse(path, QUANTS).unwrap();
    for length in 0..QUANTS.len() {
        // The last tensor's padding may be missing; its 24 bytes of data may not.
        let cut = parse(path, &QUANTS[..length]);
        assert!(cut.is_err() || length >= QUANTS.len() - 8, "{length}");
    }
}
