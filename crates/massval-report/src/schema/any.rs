//! A result file of whatever kind it says it is.

use std::path::Path;

use super::{
    DetectResult, DisruptResult, PerplexityResult, ResultKind, ScanResult, SensitivityResult, file,
};
use crate::error::{Error, Result};

/// The result of any command, for readers that take them all.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AnyResult {
    /// Of `massval scan`.
    Scan(Box<ScanResult>),
    /// Of `massval detect`.
    Detect(Box<DetectResult>),
    /// Of `massval disrupt`.
    Disrupt(Box<DisruptResult>),
    /// Of `massval perplexity`.
    Perplexity(Box<PerplexityResult>),
    /// Of `massval sensitivity`.
    Sensitivity(Box<SensitivityResult>),
}

impl AnyResult {
    /// Reads and checks a result file.
    ///
    /// # Errors
    /// The file cannot be read, is no result file, has another schema version or a kind that this
    /// version does not know, or its fields contradict each other.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let found = file::kind(path)?;
        let kind = ResultKind::ALL.into_iter().find(|kind| kind.as_str() == found);
        Ok(match kind {
            Some(ResultKind::Scan) => Self::Scan(Box::new(ScanResult::read(path)?)),
            Some(ResultKind::Detect) => Self::Detect(Box::new(DetectResult::read(path)?)),
            Some(ResultKind::Disrupt) => Self::Disrupt(Box::new(DisruptResult::read(path)?)),
            Some(ResultKind::Perplexity) => {
                Self::Perplexity(Box::new(PerplexityResult::read(path)?))
            }
            Some(ResultKind::Sensitivity) => {
                Self::Sensitivity(Box::new(SensitivityResult::read(path)?))
            }
            None => return Err(Error::UnknownKind { path: path.to_owned(), found }),
        })
    }

    /// Which command the result belongs to.
    pub fn kind(&self) -> ResultKind {
        match self {
            Self::Scan(_) => ResultKind::Scan,
            Self::Detect(_) => ResultKind::Detect,
            Self::Disrupt(_) => ResultKind::Disrupt,
            Self::Perplexity(_) => ResultKind::Perplexity,
            Self::Sensitivity(_) => ResultKind::Sensitivity,
        }
    }
}
