//! Stands in for `massval-hooks`, and with it for burn, in the fuzz targets: the readers' error
//! type names its error and nothing else.

/// An error that never happens here.
#[derive(Debug)]
pub enum Error {}

impl std::fmt::Display for Error {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {}
    }
}

impl std::error::Error for Error {}
