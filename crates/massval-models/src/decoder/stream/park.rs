//! Hidden states of passes that wait: in memory as far as they may, then in a file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::StreamOptions;
use crate::{Error, Result};

/// What waits. Numbers come back bit for bit.
#[derive(Debug)]
pub(super) struct Park {
    options: StreamOptions,
    /// Bytes kept in memory.
    kept: u64,
    file: Option<File>,
    /// Where the file ends.
    end: u64,
    /// Places in the file that were taken back: where, and how many bytes.
    free: Vec<(u64, u64)>,
}

/// The place of one hidden state.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "few at a time; only GPU backends make tensors large")]
pub(super) enum Parked {
    Kept(Tensor<3>),
    Spilled { at: u64, bytes: u64, shape: [usize; 3], dtype: DType },
}

impl Park {
    pub(super) fn new(options: StreamOptions) -> Self {
        Self { options, kept: 0, file: None, end: 0, free: Vec::new() }
    }

    pub(super) fn put(&mut self, x: Tensor<3>) -> Result<Parked> {
        let bytes = bytes_of(&x);
        match self.options.spill.clone() {
            Some(folder) if self.kept + bytes > self.options.working_bytes / 2 => {
                self.spill(&folder, x).map_err(|error| Error::io(&folder, error))
            }
            _ => {
                self.kept += bytes;
                Ok(Parked::Kept(x))
            }
        }
    }

    pub(super) fn take(&mut self, parked: Parked, device: &Device) -> Result<Tensor<3>> {
        match parked {
            Parked::Kept(x) => {
                self.kept = self.kept.saturating_sub(bytes_of(&x));
                Ok(x)
            }
            Parked::Spilled { at, bytes, shape, dtype } => {
                let read = self.read(at, bytes);
                self.free.push((at, bytes));
                let folder = self.options.spill.as_deref().unwrap_or(Path::new(""));
                let data = read.map_err(|error| Error::io(folder, error))?;
                let data = TensorData::from_bytes_vec(data, shape, dtype);
                Ok(Tensor::from_data(data, (device, dtype)))
            }
        }
    }

    fn spill(&mut self, folder: &Path, x: Tensor<3>) -> std::io::Result<Parked> {
        let (shape, dtype) = (x.dims(), x.dtype());
        let data = x.try_into_data().map_err(|error| std::io::Error::other(error.to_string()))?;
        let bytes = data.as_bytes();
        let length = bytes.len() as u64;
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile_in(folder)?),
        };
        let at = match self.free.iter().position(|(_, free)| *free == length) {
            Some(place) => self.free.swap_remove(place).0,
            None => {
                let at = self.end;
                self.end += length;
                at
            }
        };
        file.seek(SeekFrom::Start(at))?;
        file.write_all(bytes)?;
        Ok(Parked::Spilled { at, bytes: length, shape, dtype })
    }

    fn read(&mut self, at: u64, bytes: u64) -> std::io::Result<Vec<u8>> {
        let file = self.file.as_mut().ok_or(std::io::ErrorKind::NotFound)?;
        file.seek(SeekFrom::Start(at))?;
        let mut data = vec![0; bytes as usize];
        file.read_exact(&mut data)?;
        Ok(data)
    }
}

fn bytes_of(x: &Tensor<3>) -> u64 {
    x.dims().iter().product::<usize>() as u64 * x.dtype().size() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_goes_to_a_file_and_comes_back_as_it_was() {
        let (device, folder) = (Device::default(), tempfile::tempdir().unwrap());
        let options = StreamOptions::working(64).spilling_to(folder.path().to_owned());
        let mut park = Park::new(options);
        let state = |seed: i32| {
            let values: Vec<f32> = (0..6).map(|i| (i * seed) as f32 / 7.0).collect();
            (values.clone(), Tensor::<3>::from_data(TensorData::new(values, [1, 3, 2]), &device))
        };
        let values = |x: Tensor<3>| x.into_data().try_into_vec::<f32>().unwrap();
        for _round in 0..2 {
            let states: Vec<_> = (1..5).map(state).collect();
            let parked: Vec<_> = states.iter().map(|(_, x)| park.put(x.clone()).unwrap()).collect();
            let kept = parked.iter().filter(|parked| matches!(parked, Parked::Kept(_))).count();
            assert_eq!(kept, 1, "24 of 32 bytes are taken");
            for (parked, (expected, _)) in parked.into_iter().rev().zip(states.iter().rev()) {
                assert_eq!(values(park.take(parked, &device).unwrap()), *expected);
            }
        }
        // Places are used again, and the folder shows no file.
        assert_eq!((park.end, park.kept), (3 * 24, 0));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let options = StreamOptions::working(0).spilling_to("no/such/folder".into());
        let x = Tensor::<3>::zeros([1, 1, 1], &Device::default());
        let error = Park::new(options).put(x).unwrap_err().to_string();
        assert!(error.contains("no/such/folder"), "{error}");
    }
}
