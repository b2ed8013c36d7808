//! File hashes, so that a result can name the weights it came from.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::{Error, Result};

/// What is hashed at a time, on all threads.
const PART: usize = 8 << 20;

/// The BLAKE3 of a file's bytes, in lower-case hexadecimal, as `b3sum` prints it. The file is streamed.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read.
pub fn blake3_file(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; PART];
    loop {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read(rest) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io(path, e)),
            }
        }
        hasher.update_rayon(buffer.get(..filled).unwrap_or_default());
        if filled < buffer.len() {
            return Ok(hasher.finalize().to_hex().to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_blake3_of_the_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        for (bytes, expected) in [
            // The first of the published vectors, and b3sum's of "abc".
            (&b""[..], "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
            (b"abc", "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(blake3_file(&path).unwrap(), expected);
        }
    }

    #[test]
    fn parts_are_hashed_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        let bytes: Vec<u8> = (0..2 * PART + 17).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(blake3_file(&path).unwrap(), blake3::hash(&bytes).to_hex().to_string());
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = blake3_file(Path::new("no/such/file")).unwrap_err();
        assert!(error.to_string().contains("no/such/file"));
    }
}
