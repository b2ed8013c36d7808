//! The two small models that massval carries, so that it can be tried without any download.

use std::fmt;
use std::path::{Path, PathBuf};

use massval_data::language::Language;
use tempfile::TempDir;

use crate::{Error, Result};

/// A small model that massval carries: trained by `massval train --preset small` on a small language of an invented
/// world. The two differ in their positions alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Embedded {
    /// With rotary positions.
    #[default]
    RopeSmall,
    /// With learned positions.
    LearnedSmall,
}

type File = (&'static str, &'static [u8]);

macro_rules! files {
    ($folder:literal) => {
        &[
            ("config.json", include_bytes!(concat!("../../../fixtures/", $folder, "/config.json"))),
            (
                "model.safetensors",
                include_bytes!(concat!("../../../fixtures/", $folder, "/model.safetensors")),
            ),
            (
                "tokenizer.json",
                include_bytes!(concat!("../../../fixtures/", $folder, "/tokenizer.json")),
            ),
            (
                "tokenizer_config.json",
                include_bytes!(concat!("../../../fixtures/", $folder, "/tokenizer_config.json")),
            ),
            (
                "language.json",
                include_bytes!(concat!("../../../fixtures/", $folder, "/language.json")),
            ),
        ]
    };
}

static ROPE: &[File] = files!("rope-small");
static LEARNED: &[File] = files!("learned-small");

impl Embedded {
    /// Both.
    pub const ALL: [Self; 2] = [Self::RopeSmall, Self::LearnedSmall];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RopeSmall => "rope-small",
            Self::LearnedSmall => "learned-small",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|model| model.name() == name)
    }

    fn files(self) -> &'static [File] {
        match self {
            Self::RopeSmall => ROPE,
            Self::LearnedSmall => LEARNED,
        }
    }

    /// The small language that it was trained on.
    ///
    /// # Errors
    /// None in practice: its config is part of the program.
    pub fn language(self) -> Result<Language> {
        let config = self.files().iter().find(|(name, _)| *name == "language.json");
        let config = config.and_then(|(_, bytes)| serde_json::from_slice(bytes).ok());
        let broken = || Error::Input(format!("the language of {self} cannot be read"));
        Ok(Language::new(config.ok_or_else(broken)?)?)
    }

    /// A text that it was not trained on, as tokens: as many as it has positions for.
    ///
    /// # Errors
    /// As [`language`](Self::language).
    pub fn sample(self) -> Result<Vec<u32>> {
        let mut rows = self.language()?.rows(1 << 40, 1)?;
        rows.ids.truncate(rows.sequence);
        Ok(rows.ids)
    }

    /// Writes its files into a folder of their own under `parent`, which goes when the value is dropped.
    ///
    /// # Errors
    /// [`Error::Io`] if they cannot be written.
    pub fn unpack(self, parent: &Path) -> Result<Unpacked> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Io { path, source }
        };
        let folder = tempfile::Builder::new().prefix("massval").tempdir_in(parent);
        let folder = folder.map_err(io(parent))?;
        let path = folder.path().join(self.name());
        std::fs::create_dir(&path).map_err(io(&path))?;
        for (name, bytes) in self.files() {
            let file = path.join(name);
            std::fs::write(&file, bytes).map_err(io(&file))?;
        }
        Ok(Unpacked { _folder: folder, path, model: self })
    }
}

impl fmt::Display for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The files of an embedded model, as long as this lives.
#[derive(Debug)]
pub struct Unpacked {
    _folder: TempDir,
    path: PathBuf,
    model: Embedded,
}

impl Unpacked {
    /// A Hugging Face folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which one it is.
    #[must_use]
    pub fn model(&self) -> Embedded {
        self.model
    }
}
