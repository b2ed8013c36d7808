use super::super::{TensorData, read};
use super::*;

fn tensor(name: &str, shape: &[usize], data: TensorData) -> NamedTensor {
    NamedTensor { name: name.to_owned(), shape: shape.to_vec(), data }
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let names = folder.read_dir().unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[test]
fn what_is_written_is_read_back() {
    use half::{bf16, f16};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.safetensors");
    let tensors = [
        tensor("a", &[2], TensorData::F32(vec![1.5, f32::NEG_INFINITY])),
        tensor("b", &[1, 3], TensorData::F16(vec![f16::ONE, f16::MIN, f16::ZERO])),
        tensor("c", &[], TensorData::F64(vec![0.1])),
        tensor("d", &[1], TensorData::BF16(vec![bf16::NEG_ONE])),
        tensor("ids", &[2], TensorData::I64(vec![i64::MIN, 7])),
    ];
    let metadata = [("layout".to_owned(), "\"bhsd\"\n".to_owned()), ("a".into(), "b".into())];
    write_safetensors(&path, &tensors, &metadata.clone().into()).unwrap();

    let mut found = read(&path).unwrap();
    found.tensors.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(found.tensors, tensors);
    // The format's own crate reads the same.
    let bytes = fs::read(&path).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header.metadata().clone().unwrap(), metadata.into());
    assert_eq!(header.offset_keys(), ["c", "ids", "a", "b", "d"]);
    assert_eq!(names(folder.path()), ["out.safetensors"]);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let mut tensors: Vec<_> =
        (0..20).map(|i| tensor(&i.to_string(), &[1], TensorData::F32(vec![i as f32]))).collect();
    let metadata = (0..20).map(|i| (i.to_string(), String::new())).collect();
    let (one, two) = (folder.path().join("1"), folder.path().join("2"));
    write_safetensors(&one, &tensors, &metadata).unwrap();
    tensors.reverse();
    write_safetensors(&two, &tensors, &metadata).unwrap();
    assert_eq!(fs::read(one).unwrap(), fs::read(two).unwrap());
}

#[test]
fn tensors_that_make_no_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.safetensors");
    let one = || TensorData::F32(vec![1.0]);
    for (tensors, expected) in [
        (vec![tensor("a", &[1], one()), tensor("a", &[1], one())], "`a` cannot name"),
        (vec![tensor("__metadata__", &[1], one())], "`__metadata__` cannot name"),
        (vec![tensor("a", &[2], one())], "does not fit 1 numbers"),
        (vec![tensor("a", &[usize::MAX, 2], one())], "does not fit 1 numbers"),
    ] {
        let error = write_safetensors(&path, &tensors, &BTreeMap::new()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_failed_write_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.json");
    fs::write(&path, "old").unwrap();
    let error = atomic_write(&path, |out| {
        out.write_all(&[0; 3 << 20])?;
        Err(io::ErrorKind::StorageFull.into())
    });
    assert!(error.unwrap_err().to_string().contains("out.json"));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(folder.path()), ["out.json"]);
    atomic_write(&path, |out| out.write_all(b"new")).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(names(folder.path()), ["out.json"]);
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let path = Path::new("no/such/folder/out.json");
    let error = atomic_write(path, |out| out.write_all(b"x")).unwrap_err().to_string();
    assert!(error.contains("no/such/folder/out.json"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let error = atomic_write(folder.path(), |out| out.write_all(b"x")).unwrap_err().to_string();
    assert!(error.contains(folder.path().to_str().unwrap()), "{error}");
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link_and_the_file_is_an_ordinary_one() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let folder = tempfile::tempdir().unwrap();
    let (target, link) = (folder.path().join("target"), folder.path().join("link"));
    fs::write(&target, "old").unwrap();
    symlink(&target, &link).unwrap();
    atomic_write(&link, |out| out.write_all(b"new")).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(&target).unwrap(), b"new");
    let plain = folder.path().join("plain");
    fs::write(&plain, "").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&target), mode(&plain));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_an_error_and_stays_a_device() {
    use std::os::unix::fs::{FileTypeExt, symlink};

    // By a link of its own: a wrong write must not hurt the device itself.
    let folder = tempfile::tempdir().unwrap();
    let full = folder.path().join("full");
    symlink("/dev/full", &full).unwrap();
    let error = atomic_write(&full, |out| out.write_all(&[0; 100])).unwrap_err().to_string();
    assert!(error.contains("full: ") && error.contains("No space left"), "{error}");
    assert!(fs::metadata(&full).unwrap().file_type().is_char_device());
    assert!(fs::symlink_metadata(&full).unwrap().is_symlink());
}
