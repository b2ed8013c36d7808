use proptest::prelude::*;

use super::*;

/// An npy file of version 1 with this header and data.
fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let length = (header.len() as u16).to_le_bytes();
    [MAGIC, &[1, 0], &length, header.as_bytes(), data].concat()
}

fn header(descr: &str, order: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n")
}

#[track_caller]
fn refused(file: &[u8], expected: &str) {
    let error = read_npy(Path::new("x.npy"), file).unwrap_err().to_string();
    assert!(error.contains("x.npy") && error.contains(expected), "{error}");
}

#[test]
fn a_header_may_be_written_in_any_order_and_spacing() {
    for header in [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }          \n",
        "{\"shape\":(2,1),'fortran_order':False,'descr':'<f4'}",
        "{'descr':'<f4','fortran_order':False,'shape':(2L, 1L,)}",
    ] {
        let (shape, data) = parse(&npy(header, &[0, 0, 128, 63, 0, 0, 0, 64])).unwrap();
        assert_eq!((shape, data), (vec![2, 1], TensorData::F32(vec![1.0, 2.0])));
    }
}

#[test]
fn versions_two_and_three_have_longer_headers() {
    let header = header("|u1", "False", "(1,)");
    for version in [2, 3] {
        let length = (header.len() as u32).to_le_bytes();
        let file = [MAGIC, &[version, 0], &length, header.as_bytes(), &[9]].concat();
        assert_eq!(parse(&file).unwrap().1, TensorData::I64(vec![9]));
    }
}

#[test]
fn fortran_order_becomes_row_major() {
    // Column-major [2, 3]: 0 3 1 4 2 5.
    let file = npy(&header("|i1", "True", "(2, 3)"), &[0, 3, 1, 4, 2, 5]);
    assert_eq!(parse(&file).unwrap().1, TensorData::I64(vec![0, 1, 2, 3, 4, 5]));
}

#[test]
fn integers_and_bools_become_i64() {
    for (descr, bytes, expected) in [
        ("|b1", vec![1], 1),
        ("|i1", vec![0xff], -1),
        (">i2", vec![0xff, 0xfe], -2),
        ("<u2", vec![1, 0x80], 0x8001),
        ("<i4", vec![0xff; 4], -1),
        (">u4", vec![0xff; 4], u32::MAX.into()),
        ("<i8", vec![0xff; 8], -1),
        ("<u8", vec![1, 0, 0, 0, 0, 0, 0, 0], 1),
    ] {
        let file = npy(&header(descr, "False", "(1,)"), &bytes);
        assert_eq!(parse(&file).unwrap().1, TensorData::I64(vec![expected]), "{descr}");
    }
    refused(&npy(&header("<u8", "False", "(1,)"), &[0xff; 8]), "above 2^63");
    refused(&npy(&header("|b1", "False", "(1,)"), &[2]), "no bool");
}

#[test]
fn types_without_a_place_are_named() {
    for descr in ["<c8", "|O", "<U3", "|S4", "<M8[ns]", "f4", "", "<", "=f4", "<f16", "é4"] {
        refused(&npy(&header(descr, "False", "(1,)"), &[0; 8]), &format!("type `{descr}`"));
    }
    let record = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }";
    refused(&npy(record, &[0; 4]), "structured arrays");
}

#[test]
fn hostile_headers_are_refused() {
    refused(b"\x93NUMP", "does not begin");
    refused(b"\x93NUMPY", "truncated");
    refused(b"\x93NUMPY\x01\x00\xff", "truncated");
    refused(b"\x93NUMPY\x01\x00\x10\x00{}", "truncated");
    refused(b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "claims 4294967295 bytes");
    refused(b"\x93NUMPY\x09\x00\x00\x00", "version 9.0");
    refused(&npy(&"(".repeat(9_000), &[]), "lacks a `{`");
    refused(&npy("{}", &[]), "lacks `descr`");
    refused(&npy("{'descr': '<f4', 'descr': '<f4'}", &[]), "names `descr` twice");
    refused(&npy("{'x': 1}", &[]), "unknown key `x`");
    refused(&npy("{'descr': '<f4", &[]), "open string");
    refused(&npy("{'shape': ", &[]), "lacks a `(`");
    refused(&npy("{'fortran_order': 1}", &[]), "neither True nor False");
    refused(&npy(&format!("{}x", header("<f4", "False", "(1,)").trim()), &[0; 4]), "goes on");
    for shape in ["(-1,)", "(nan,)", "(,)", "(1", "(99999999999999999999,)"] {
        refused(&npy(&header("<f4", "False", shape), &[0; 4]), "no tuple of integers");
    }
    for shape in ["(1.5,)", "(1e9,)", "(1 1)"] {
        refused(&npy(&header("<f4", "False", shape), &[0; 4]), "lacks a `)`");
    }
    refused(&npy(&header("<f4", "False", &format!("({})", "1,".repeat(65))), &[0; 4]), "axes");
}

#[test]
fn a_shape_that_is_not_that_of_the_data_is_refused() {
    for (shape, expected) in [
        ("(2,)", "does not account"),
        ("(0,)", "no elements"),
        ("(3, 0)", "no elements"),
        ("(1,)", "does not account"),
        ("(4294967296, 4294967296)", "overflows"),
        ("(4611686018427387904,)", "overflows"),
    ] {
        refused(&npy(&header("<f4", "False", shape), &[0; 5]), expected);
    }
}

proptest! {
    #[test]
    fn damaged_headers_never_panic(damage in proptest::collection::vec((0usize..80, any::<u8>()), 1..6)) {
        let mut file = npy(&header("<f4", "True", "(2, 3)"), &[0; 24]);
        for (at, byte) in damage {
            if let Some(place) = file.get_mut(at) {
                *place = byte;
            }
        }
        if let Ok((shape, data)) = parse(&file) {
            prop_assert_eq!(shape.iter().product::<usize>(), data.len());
        }
    }
}
