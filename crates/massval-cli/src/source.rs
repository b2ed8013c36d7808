//! Which model the arguments mean: a path, the name of one on a hub, which is fetched first, or one that massval
//! carries.

use std::path::{Path, PathBuf};

use massval::models::{Checkpoint, Model};

#[cfg(feature = "hub")]
use massval::models::hub::Snapshot;
#[cfg(feature = "embedded")]
use massval::{Embedded, Unpacked};

use crate::args::ModelName;
use crate::output::Failure;

/// Where a model is read from.
pub enum Source {
    /// A folder or a file.
    Path(PathBuf),
    /// A commit's folder in the cache that all tools of the hub share.
    #[cfg(feature = "hub")]
    Hub(Snapshot),
    /// One that massval carries, for as long as the program runs.
    #[cfg(feature = "embedded")]
    Embedded(Unpacked),
}

/// How the names of files end that a model may be read from.
const FILES: [&str; 6] = [".gguf", ".safetensors", ".json", ".bin", ".pt", ".pth"];

impl Source {
    /// What is there under this path is a path; another `org/name` is fetched.
    pub fn new(args: &ModelName) -> Result<Self, Failure> {
        let Some(model) = &args.model else { return Self::carried(args, None) };
        let wrong = |what: &str| Err(Failure::Work(format!("{}: {what}", model.display())));
        let plain = model.to_str().filter(|name| {
            !name.starts_with(['/', '.', '~']) && !FILES.iter().any(|end| name.ends_with(end))
        });
        let parts: Vec<_> = plain.into_iter().flat_map(|name| name.split('/')).collect();
        let name = plain.filter(|_| parts.len() == 2 && !parts.contains(&""));
        // What cannot be looked at is there, too: reading it says why.
        let here = model.try_exists().unwrap_or(true);
        match (&args.revision, name) {
            (None, _) if here => Ok(Self::Path(model.clone())),
            (Some(_), _) if here => {
                wrong("is a path here, which has no revisions; leave --revision out")
            }
            (revision, Some(name)) => Self::fetch(name, revision.as_deref().unwrap_or("main")),
            (_, None) if plain.is_some_and(is_carried) => Self::carried(args, plain),
            (Some(_), None) => {
                wrong("neither a path here nor `org/name` on a hub, so --revision means nothing")
            }
            (None, None) if parts.len() == 1 => wrong(
                "no such file or folder; a model on a hub is named `org/name`, those that massval \
                     carries are rope-small and learned-small",
            ),
            (None, None) => Ok(Self::Path(model.clone())),
        }
    }

    #[cfg(feature = "embedded")]
    fn carried(args: &ModelName, name: Option<&str>) -> Result<Self, Failure> {
        if args.revision.is_some() {
            let what = "--revision: a model that massval carries has one; name a model on a hub";
            return Err(Failure::Work(what.to_owned()));
        }
        let model = name.and_then(Embedded::from_name).unwrap_or_default();
        Ok(Self::Embedded(model.unpack(&std::env::temp_dir())?))
    }

    #[cfg(not(feature = "embedded"))]
    fn carried(_: &ModelName, _: Option<&str>) -> Result<Self, Failure> {
        let what = "no MODEL: this massval was built without the feature `embedded`, so name one";
        Err(Failure::Work(what.to_owned()))
    }

    /// Tokens to read where nothing else is said.
    pub fn sample(&self) -> Result<Option<Vec<u32>>, Failure> {
        Ok(match self {
            #[cfg(feature = "embedded")]
            Self::Embedded(unpacked) => Some(unpacked.model().sample()?),
            _ => None,
        })
    }

    /// The small language that the model was trained on, if massval trained it.
    pub fn language(&self) -> Option<PathBuf> {
        Some(self.path().join("language.json")).filter(|path| path.is_file())
    }

    #[cfg(feature = "hub")]
    fn fetch(name: &str, revision: &str) -> Result<Self, Failure> {
        use massval::models::hub::{self, HubError};

        // What was meant as a path deserves to hear that it is none.
        let no_path = |error: &dyn std::fmt::Display| {
            Failure::Work(format!("{error} (and no file or folder {name} is here)"))
        };
        let parsed = name.parse().map_err(|error: HubError| no_path(&error))?;
        let options = crate::environment::hub_options(|name| std::env::var_os(name))?;
        let mut progress = crate::progress::Progress::bytes("fetching");
        let fetched = hub::fetch(&parsed, revision, &options, &mut |done, all| {
            progress.at_byte(done, all);
        });
        progress.finish();
        match fetched {
            Ok(snapshot) => Ok(Self::Hub(snapshot)),
            Err(massval::models::Error::Hub(
                error @ (HubError::NotFound { .. }
                | HubError::Denied { .. }
                | HubError::Offline { .. }
                | HubError::Connection { .. }),
            )) => Err(no_path(&error)),
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(not(feature = "hub"))]
    fn fetch(name: &str, _revision: &str) -> Result<Self, Failure> {
        Err(Failure::Work(format!(
            "{name}: no such file or folder, and this massval was built without the feature `hub`"
        )))
    }

    /// The folder or file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Path(path) => path,
            #[cfg(feature = "hub")]
            Self::Hub(snapshot) => &snapshot.folder,
            #[cfg(feature = "embedded")]
            Self::Embedded(unpacked) => unpacked.path(),
        }
    }

    /// The model that was loaded from there, with the name and commit it goes by on the hub.
    pub fn signed(&self, model: Model) -> Model {
        match self {
            Self::Path(_) => model,
            #[cfg(feature = "hub")]
            Self::Hub(snapshot) => snapshot.signed(model),
            #[cfg(feature = "embedded")]
            Self::Embedded(unpacked) => model.named(unpacked.model().name()),
        }
    }

    /// Reads the checkpoint's headers.
    pub fn inspect(&self) -> Result<Checkpoint, Failure> {
        Ok(match self {
            Self::Path(path) => Checkpoint::inspect(path)?,
            #[cfg(feature = "hub")]
            Self::Hub(snapshot) => snapshot.inspect()?,
            #[cfg(feature = "embedded")]
            Self::Embedded(unpacked) => {
                let mut checkpoint = Checkpoint::inspect(unpacked.path())?;
                checkpoint.name = Some(unpacked.model().name().to_owned());
                checkpoint
            }
        })
    }
}

fn is_carried(name: &str) -> bool {
    #[cfg(feature = "embedded")]
    return Embedded::from_name(name).is_some();
    #[cfg(not(feature = "embedded"))]
    return ["rope-small", "learned-small"].contains(&name);
}
