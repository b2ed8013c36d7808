//! Files that numpy and PyTorch wrote, and what hides behind their extensions.

use std::path::{Path, PathBuf};

use half::{bf16, f16};

use super::*;

/// A file of `fixtures/tensor-files`.
macro_rules! fixture {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../../../../fixtures/tensor-files/", $name)).as_slice())
    };
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, (name, bytes): (&str, &[u8])) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn read(&self, file: (&str, &[u8])) -> Result<Vec<NamedTensor>> {
        read(&self.write(file)).map(|file| file.tensors)
    }
}

#[track_caller]
fn refused(file: (&str, &[u8]), expected: &str) {
    let error = Folder::new().read(file).unwrap_err().to_string();
    assert!(error.contains(file.0) && error.contains(expected), "{error}");
    assert!(!error.contains('\n'), "{error}");
}

/// 0, 0.25, 0.5 ...: what the fixtures hold, in row-major order.
fn quarters<T>(number: impl Fn(f32) -> T) -> Vec<T> {
    (0..24u8).map(|i| number(f32::from(i) / 4.0)).collect()
}

#[track_caller]
fn holds(file: (&str, &[u8]), name: &str, data: TensorData) {
    let tensors = Folder::new().read(file).unwrap();
    assert_eq!(tensors, [NamedTensor { name: name.into(), shape: vec![2, 3, 4], data }]);
}

#[test]
fn numpy_arrays_are_read() {
    holds(fixture!("f16.npy"), "f16", TensorData::F16(quarters(f16::from_f32)));
    holds(fixture!("f32-fortran.npy"), "f32-fortran", TensorData::F32(quarters(|x| x)));
    holds(fixture!("f64-big-endian.npy"), "f64-big-endian", TensorData::F64(quarters(f64::from)));
    let scalar = Folder::new().read(fixture!("scalar.npy")).unwrap();
    assert_eq!(
        (scalar[0].shape.as_slice(), &scalar[0].data),
        (&[][..], &TensorData::F32(vec![0.25]))
    );
    let ids = Folder::new().read(fixture!("i32.npy")).unwrap();
    assert_eq!(ids[0].data, TensorData::I64(vec![1, -2, 3]));
}

#[test]
fn nan_and_infinity_come_through() {
    let tensors = Folder::new().read(fixture!("nan.npy")).unwrap();
    let TensorData::F32(numbers) = &tensors[0].data else { panic!("not f32") };
    assert!(numbers[0] == 1.0 && numbers[1].is_nan() && numbers[2] == f32::INFINITY);
}

#[test]
fn objects_and_records_are_refused() {
    refused(fixture!("object.npy"), "type `|O`");
    refused(fixture!("record.npy"), "structured arrays");
}

#[test]
fn numpy_archives_are_read() {
    let tensors = Folder::new().read(fixture!("two.npz")).unwrap();
    let names: Vec<_> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names, ["q", "ids"]);
    assert_eq!(tensors[0].data, TensorData::F32(quarters(|x| x)));
    assert_eq!(tensors[1].data, TensorData::I64(vec![5, 6]));
}

#[test]
fn bare_pytorch_tensors_are_read() {
    let halves = || TensorData::F16(quarters(f16::from_f32));
    holds(fixture!("bare-f16.pt"), "bare-f16", halves());
    holds(fixture!("bare-protocol-4.pt"), "bare-protocol-4", halves());
    holds(fixture!("bare-view-f32.pt"), "bare-view-f32", TensorData::F32(quarters(|x| x)));
    let brains = TensorData::BF16(quarters(bf16::from_f32));
    holds(fixture!("bare-parameter-bf16.pt"), "bare-parameter-bf16", brains);
}

#[test]
fn pytorch_dicts_are_read() {
    let tensors = Folder::new().read(fixture!("dict.pt")).unwrap();
    let names: Vec<_> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names, ["layer.k", "layer.q"]);
    assert_eq!(tensors[0].data, TensorData::F64(quarters(f64::from)));
    assert_eq!(tensors[1].data, TensorData::F16(quarters(f16::from_f32)));
    let folder = Folder::new();
    assert_eq!(read(&folder.write(fixture!("dict.pt"))).unwrap().skipped, ["step"]);
    holds(fixture!("dict-legacy.pt"), "q", TensorData::F16(quarters(f16::from_f32)));
}

#[test]
fn what_is_no_tensor_is_listed_as_a_whole() {
    let folder = Folder::new();
    let file = read(&folder.write(fixture!("dict-others.pt"))).unwrap();
    let names: Vec<_> = file.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names, ["list.1", "state.q"]);
    // Not the dict's attribute `_metadata`, and `losses` once, not each of its numbers.
    assert_eq!(file.skipped, ["empty", "list.0", "losses", "state.lr", "step"]);
}

#[test]
fn two_tensors_under_one_name_are_refused() {
    refused(fixture!("dict-twice.pt"), "tensor `a.b` is there twice");
}

#[test]
fn other_pytorch_files_are_refused() {
    refused(fixture!("sparse.pt"), "PyTorch");
    refused(fixture!("bare-legacy.pt"), "PyTorch");
    refused(("not.pt", b"plain text, and long enough to be looked at"), "PyTorch");
    refused(("empty.pt", b""), "empty");
    refused(("dict.pt", b"\x80\x02}."), "no tensor");
    refused(("code.pt", b"cos\nsystem\n(S'touch x'\ntR."), "PyTorch");
}

#[test]
fn a_cut_or_damaged_file_never_panics() {
    let folder = Folder::new();
    for (name, bytes) in [
        fixture!("bare-f16.pt"),
        fixture!("dict.pt"),
        fixture!("dict-legacy.pt"),
        fixture!("two.npz"),
        fixture!("f16.npy"),
    ] {
        for length in (0..bytes.len()).step_by(23) {
            assert!(folder.read((name, &bytes[..length])).is_err(), "{name} cut at {length}");
        }
        let mut damaged = bytes.to_vec();
        for at in (0..bytes.len()).step_by(17) {
            damaged[at] ^= 0x55;
            let _ = folder.read((name, &damaged));
            damaged[at] ^= 0x55;
        }
    }
}

#[test]
fn what_a_zip_unfolds_to_is_limited() {
    use std::io::Write;
    use zip::write::SimpleFileOptions;

    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    zip.start_file("bomb.npy", options).unwrap();
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (8388608,), }";
    zip.write_all(b"\x93NUMPY\x01\x00").unwrap();
    zip.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
    zip.write_all(header.as_bytes()).unwrap();
    zip.write_all(&vec![0; 8 << 20]).unwrap();
    let bytes = zip.finish().unwrap().into_inner();
    assert!(bytes.len() < 1 << 16);
    let folder = Folder::new();
    let path = folder.write(("bomb.npz", &bytes));
    let error = read_with_limit(&path, 1 << 20).unwrap_err().to_string();
    assert!(error.contains("bomb.npz") && error.contains("limit of 1048576"), "{error}");
    assert_eq!(read(&path).unwrap().tensors[0].data.len(), 8 << 20);

    // The same entry, claiming to be small: both size fields say 16.
    let size = (8u32 << 20) + 10 + header.len() as u32;
    let mut lying = bytes.clone();
    for at in 0..lying.len() - 4 {
        if lying[at..at + 4] == size.to_le_bytes() {
            lying[at..at + 4].copy_from_slice(&16u32.to_le_bytes());
        }
    }
    assert_ne!(lying, bytes);
    refused(("lying.npz", &lying), "bomb.npy");
}

#[test]
fn an_archive_of_something_else_is_refused() {
    let (_, pt) = fixture!("bare-f16.pt");
    refused(("pt.npz", pt), "is no npy array");
    let (_, npz) = fixture!("two.npz");
    refused(("npz.pt", npz), "PyTorch");
    refused(("text.npz", b"text"), "npz");
    refused(("text.npy", b"text"), "npy");
    refused(("text.safetensors", b"text"), "safetensors");
    refused(("text.csv", b"text"), "tensors are read from");
    refused(("none", b"text"), "tensors are read from");
}

#[test]
fn a_missing_file_is_named() {
    let error = read(Path::new("no/such/q.npy")).unwrap_err().to_string();
    assert!(error.contains("no/such/q.npy"), "{error}");
}
