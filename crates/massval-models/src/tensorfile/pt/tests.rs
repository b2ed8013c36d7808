use proptest::prelude::*;

use super::*;
use crate::weights::StoredType;

fn tensor(shape: &[u64], strides: &[u64], offset: u64) -> BareTensor {
    BareTensor {
        dtype: StoredType::U8,
        storage: "0".to_owned(),
        offset,
        shape: shape.to_vec(),
        strides: strides.to_vec(),
    }
}

fn numbers(tensor: &BareTensor, storage: &[u8]) -> Result<TensorData> {
    materialize(Path::new("x.pt"), tensor, storage, 1 << 20).map(|tensor| tensor.data)
}

#[test]
fn a_view_is_gathered_in_its_own_order() {
    let storage: Vec<u8> = (0..10).collect();
    for (tensor, expected) in [
        (tensor(&[2, 3], &[3, 1], 1), vec![1, 2, 3, 4, 5, 6]),
        (tensor(&[3, 2], &[1, 3], 0), vec![0, 3, 1, 4, 2, 5]),
        (tensor(&[2, 2], &[0, 1], 8), vec![8, 9, 8, 9]),
        (tensor(&[], &[], 7), vec![7]),
        (tensor(&[1, 10], &[999, 1], 0), (0..10).collect()),
    ] {
        assert_eq!(numbers(&tensor, &storage).unwrap(), TensorData::I64(expected));
    }
}

#[test]
fn a_view_that_leaves_its_storage_is_refused() {
    for tensor in [
        tensor(&[11], &[1], 0),
        tensor(&[10], &[1], 1),
        tensor(&[2], &[10], 0),
        tensor(&[2, 2], &[1], 0),
        tensor(&[2], &[u64::MAX], 0),
        tensor(&[1], &[1], u64::MAX),
        tensor(&[1000], &[u64::MAX / 1000], 0),
    ] {
        let error = numbers(&tensor, &[0; 10]).unwrap_err().to_string();
        assert!(error.contains("x.pt") && error.contains("outside its storage"), "{error}");
    }
}

#[test]
fn a_view_that_unfolds_past_the_limit_is_refused() {
    let error = numbers(&tensor(&[1 << 40], &[0], 0), &[0]).unwrap_err().to_string();
    assert!(error.contains("limit of 1048576 bytes"), "{error}");
    let error = numbers(&tensor(&[1 << 63, 2], &[0, 0], 0), &[0]).unwrap_err().to_string();
    assert!(error.contains("overflows"), "{error}");
    let error = numbers(&tensor(&[3, 0], &[1, 1], 0), &[0]).unwrap_err().to_string();
    assert!(error.contains("no elements"), "{error}");
}

proptest! {
    #[test]
    fn any_view_is_gathered_as_defined_or_refused(
        axes in proptest::collection::vec((1u64..5, 0u64..7), 0..4),
        offset in 0u64..9,
    ) {
        let (shape, strides): (Vec<u64>, Vec<u64>) = axes.into_iter().unzip();
        let storage: Vec<u8> = (0..40).collect();
        // The definition: every index tuple in row-major order.
        let mut expected = vec![offset];
        for (&extent, &stride) in shape.iter().zip(&strides) {
            expected =
                expected.iter().flat_map(|base| (0..extent).map(move |i| base + i * stride)).collect();
        }
        let inside = expected.iter().all(|&place| place < 40);
        let found = numbers(&tensor(&shape, &strides, offset), &storage);
        match found {
            Ok(data) => {
                prop_assert!(inside);
                let expected = expected.into_iter().map(|place| place as i64).collect();
                prop_assert_eq!(data, TensorData::I64(expected));
            }
            Err(_) => prop_assert!(!inside),
        }
    }
}
