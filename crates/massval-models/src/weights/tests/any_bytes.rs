//! Random damage never panics a reader: a small standing part of what the fuzz targets do.

use proptest::prelude::*;

use super::super::Weights;
use super::{Folder, safetensors_file};

/// Reads all there is to read; what matters is that it comes back.
fn exercise(name: &str, bytes: &[u8]) {
    let folder = Folder::new();
    let Ok(weights) = folder.open(name, bytes) else { return };
    read_all(&weights);
}

fn read_all(weights: &Weights) {
    for info in weights.tensors() {
        let numbers = weights.read_f32(&info.name);
        assert!(numbers.is_err() || info.dtype.is_weight());
        let _ = weights.read_f32_transposed(&info.name);
        let _ = weights.read_f32_transposed_unpermuted(&info.name, 2);
        let _ = weights.read_native(&info.name);
    }
}

const GGUF: &[u8] = include_bytes!("../../../../../fixtures/gguf-quants/quants.gguf");
const PYTORCH: &[u8] = include_bytes!("../../../../../fixtures/tensor-files/dict.pt");
/// Where the data of the fixture begins; damage before it is what a reader must notice.
const GGUF_HEADER: usize = 1280;

proptest! {
    #[test]
    fn gguf_with_damaged_bytes(damage in proptest::collection::vec((0..GGUF_HEADER, any::<u8>()), 1..8)) {
        let mut bytes = GGUF.to_vec();
        for (at, byte) in damage {
            bytes[at] = byte;
        }
        exercise("w.gguf", &bytes);
    }

    #[test]
    fn gguf_of_random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        exercise("w.gguf", &[b"GGUF\x03\0\0\0".as_slice(), &bytes].concat());
    }

    #[test]
    fn pytorch_with_damaged_bytes(damage in proptest::collection::vec((0..PYTORCH.len(), any::<u8>()), 1..8)) {
        let mut bytes = PYTORCH.to_vec();
        for (at, byte) in damage {
            bytes[at] = byte;
        }
        exercise("w.bin", &bytes);
    }

    #[test]
    fn safetensors_of_random_numbers(
        (begin, end, extent) in (any::<u64>(), any::<u64>(), any::<u64>()),
        data in 0usize..64,
    ) {
        let header = format!(
            r#"{{"a":{{"dtype":"F32","shape":[{extent},2],"data_offsets":[{begin},{end}]}}}}"#
        );
        exercise("w.safetensors", &safetensors_file(&header, data));
    }

    #[test]
    fn safetensors_of_random_bytes(length in 0u64..64, bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        exercise("w.safetensors", &[&length.to_le_bytes(), bytes.as_slice()].concat());
    }
}
