//! Safetensors files: one that the format's own crate wrote, and hostile ones.

use super::super::{Format, StoredType};
use super::{Folder, refused, safetensors_file};

const NAME: &str = "w.safetensors";

#[test]
fn reads_what_the_formats_own_crate_writes() {
    use ::safetensors::tensor::{Dtype, TensorView, serialize};

    let a: Vec<u8> =
        [1.5f32, -2.0, 3.0, 4.0, 5.0, 6.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let b: Vec<u8> = [0x3c00u16, 0xc000].iter().flat_map(|x| x.to_le_bytes()).collect();
    let c: Vec<u8> = [7i64].iter().flat_map(|x| x.to_le_bytes()).collect();
    let views = [
        ("b", TensorView::new(Dtype::F16, vec![2], &b).unwrap()),
        ("a", TensorView::new(Dtype::F32, vec![2, 3], &a).unwrap()),
        ("c", TensorView::new(Dtype::I64, vec![], &c).unwrap()),
    ];
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    let weights = Folder::new().open(NAME, serialize(views, Some(metadata)).unwrap()).unwrap();
    assert_eq!(weights.format(), Format::Safetensors);
    let names: Vec<_> = weights.tensors().map(|info| info.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(weights.total_bytes(), 24 + 4 + 8);
    assert_eq!(weights.info("a").unwrap().shape, [2, 3]);
    assert_eq!(weights.read_f32("a").unwrap(), [1.5, -2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(weights.read_f32_transposed("a").unwrap(), [1.5, 4.0, -2.0, 5.0, 3.0, 6.0]);
    assert_eq!(weights.read_f32("b").unwrap(), [1.0, -2.0]);
    assert_eq!(weights.read_native("b").unwrap(), (StoredType::F16, b.as_slice().into()));
    assert!(weights.info("d").is_none());
    assert!(weights.gguf().is_none());

    let error = weights.read_f32("c").unwrap_err().to_string();
    assert!(error.contains("`c` is stored as I64"), "{error}");
    let error = weights.read_f32_transposed("b").unwrap_err().to_string();
    assert!(error.contains("`b` of shape [2] is no matrix"), "{error}");
    let error = weights.read_f32("d").unwrap_err().to_string();
    assert!(error.contains("no tensor `d`"), "{error}");
}

#[test]
fn a_header_that_does_not_fit_is_refused() {
    refused(NAME, b"", "empty");
    refused(NAME, b"1234567", "too few");
    refused(NAME, (1u64 << 60).to_le_bytes(), "1152921504606846976 bytes, above");
    refused(NAME, u64::MAX.to_le_bytes(), "above the format's limit");
    refused(NAME, 100u64.to_le_bytes(), "truncated");
    refused(NAME, safetensors_file("", 0), "EOF");
    refused(NAME, safetensors_file("{}", 0), "no tensor");
    refused(NAME, safetensors_file("{}", 4), "belong to no tensor");
    refused(NAME, safetensors_file("[]", 0), "object");
    refused(NAME, safetensors_file("{\"a\":", 0), "header");
    refused(NAME, safetensors_file(&"[".repeat(100_000), 0), "header");
    let mut not_utf8 = safetensors_file("{\"aa\":1}", 0);
    not_utf8[10] = 0xff;
    refused(NAME, not_utf8, "header");
}

/// One tensor entry.
fn tensor(name: &str, dtype: &str, shape: &str, begin: u64, end: u64) -> String {
    format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}"#)
}

fn refused_tensors(tensors: &[String], data: usize, expected: &str) {
    refused(NAME, safetensors_file(&format!("{{{}}}", tensors.join(",")), data), expected);
}

#[test]
fn offsets_outside_the_file_are_refused() {
    for (begin, end) in [(0, 12), (8, 4), (u64::MAX - 4, u64::MAX), (1 << 60, (1 << 60) + 8)] {
        refused_tensors(&[tensor("a", "F32", "[2]", begin, end)], 8, "`a`: its bytes");
    }
}

#[test]
fn overlaps_and_holes_are_refused() {
    let a = || tensor("a", "F32", "[2]", 0, 8);
    refused_tensors(&[a(), tensor("b", "F32", "[2]", 4, 12)], 12, "`b` overlaps `a`");
    refused_tensors(&[a(), tensor("b", "F32", "[2]", 0, 8)], 8, "overlaps");
    refused_tensors(&[a(), tensor("b", "F32", "[1]", 12, 16)], 16, "4 bytes before tensor `b`");
    refused_tensors(&[tensor("b", "F32", "[1]", 4, 8)], 8, "4 bytes before tensor `b`");
    refused_tensors(&[a()], 12, "4 bytes at the end");
}

#[test]
fn absurd_shapes_are_refused() {
    refused_tensors(
        &[tensor("a", "F32", "[0,2]", 0, 0)],
        0,
        "`a`: shape [0, 2]: it has no elements",
    );
    refused_tensors(&[tensor("a", "F32", "[3]", 0, 8)], 8, "does not fill");
    refused_tensors(&[tensor("a", "F32", "[4294967296,4294967296]", 0, 8)], 8, "overflows");
    refused_tensors(&[tensor("a", "F32", "[4611686018427387905,4]", 0, 16)], 16, "overflows");
    refused_tensors(&[tensor("a", "U8", "[9223372036854775807]", 0, 8)], 8, "overflows");
    refused_tensors(&[tensor("a", "F32", "[-2]", 0, 8)], 8, "`a`");
    refused_tensors(&[tensor("a", "F32", "[NaN]", 0, 8)], 8, "`a`");
    refused_tensors(&[tensor("a", "F32", "[2.0]", 0, 8)], 8, "`a`");
    refused_tensors(&[tensor("a", "F32", "[18446744073709551616]", 0, 8)], 8, "`a`");
}

#[test]
fn what_is_unknown_is_refused_by_name() {
    refused_tensors(&[tensor("a", "F4", "[2]", 0, 1)], 1, "`a` has the unknown type `F4`");
    refused(NAME, safetensors_file(r#"{"a":7}"#, 0), "`a`");
    refused(NAME, safetensors_file(r#"{"a":{"dtype":"F32","shape":[1]}}"#, 4), "data_offsets");
    let extra = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"strides":[1]}}"#;
    refused(NAME, safetensors_file(extra, 4), "strides");
    refused(NAME, safetensors_file(r#"{"__metadata__":{"a":1}}"#, 0), "__metadata__");
}

#[test]
fn a_name_given_twice_is_refused() {
    let a = || tensor("a", "F32", "[2]", 0, 8);
    refused_tensors(&[a(), a()], 8, "`a` is named twice");
    refused_tensors(&[a(), tensor("a", "F32", "[2]", 8, 16)], 16, "`a` is named twice");
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let header = format!("{{{}}}", tensor("a", "F32", "[2]", 0, 8));
    let whole = safetensors_file(&header, 8);
    let folder = Folder::new();
    folder.open(NAME, &whole).unwrap();
    for length in 0..whole.len() {
        folder.open(NAME, &whole[..length]).unwrap_err();
    }
}
