//! What stands behind an entry: the options of its set, and how that is opened.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::hint;
use super::options::{change, fields, refuse};
use crate::generate::{
    Arithmetic, ArithmeticOptions, CoinFlip, CoinFlipOptions, KeyValue, KeyValueOptions,
    ListRecall, ListRecallOptions, Passkey, PasskeyOptions, ReferencePasskey,
    ReferencePasskeyOptions,
};
use crate::language::{
    Language, LanguageConfig, SmallConflict, SmallConflictOptions, SmallFacts, SmallFactsOptions,
    SmallKeyValue, SmallKeyValueOptions, SmallPasskey, SmallPasskeyOptions,
};
use crate::read::{self, FileSet, Schema, Unanswerable};
use crate::synthesis::{Facts, KnowledgeQa, KnowledgeQaOptions};
use crate::world::{
    Capitals, CapitalsOptions, Cities, CitiesOptions, Conflict, ConflictOptions, ReferenceConflict,
};
use crate::{Dataset, Encode, Result};

/// Which set an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Passkey,
    ReferencePasskey,
    KeyValue,
    ListRecall,
    CoinFlip,
    Arithmetic,
    Capitals,
    Cities,
    Conflict,
    ReferenceConflict,
    ReferenceConflictOfFile,
    SmallFacts,
    SmallPasskey,
    SmallKeyValue,
    SmallConflict,
    Facts,
    File(Schema),
}

/// A set that is not opened yet.
#[derive(Debug)]
pub(super) enum Source {
    Passkey(PasskeyOptions),
    ReferencePasskey(ReferencePasskeyOptions),
    KeyValue(KeyValueOptions),
    ListRecall(ListRecallOptions),
    CoinFlip(CoinFlipOptions),
    Arithmetic(ArithmeticOptions),
    Capitals(CapitalsOptions),
    Cities(CitiesOptions),
    Conflict(ConflictOptions),
    ReferenceConflict(CitiesOptions),
    ReferenceConflictOfFile(read::Options),
    SmallFacts(SmallFactsOptions),
    SmallPasskey(SmallPasskeyOptions),
    SmallKeyValue(SmallKeyValueOptions),
    SmallConflict(SmallConflictOptions),
    Facts(KnowledgeQaOptions),
    File(Schema, read::Options),
}

impl Kind {
    /// The set with its usual options.
    pub(super) fn source(self) -> Source {
        match self {
            Self::Passkey => Source::Passkey(Default::default()),
            Self::ReferencePasskey => Source::ReferencePasskey(Default::default()),
            Self::KeyValue => Source::KeyValue(Default::default()),
            Self::ListRecall => Source::ListRecall(Default::default()),
            Self::CoinFlip => Source::CoinFlip(Default::default()),
            Self::Arithmetic => Source::Arithmetic(Default::default()),
            Self::Capitals => Source::Capitals(Default::default()),
            Self::Cities => Source::Cities(Default::default()),
            Self::Conflict => Source::Conflict(Default::default()),
            Self::ReferenceConflict => Source::ReferenceConflict(Default::default()),
            Self::ReferenceConflictOfFile => Source::ReferenceConflictOfFile(Default::default()),
            Self::SmallFacts => Source::SmallFacts(Default::default()),
            Self::SmallPasskey => Source::SmallPasskey(Default::default()),
            Self::SmallKeyValue => Source::SmallKeyValue(Default::default()),
            Self::SmallConflict => Source::SmallConflict(Default::default()),
            Self::Facts => Source::Facts(Default::default()),
            Self::File(schema) => Source::File(schema, Default::default()),
        }
    }
}

impl Source {
    /// The options that a spec can set, as they are.
    pub(super) fn defaults(&self, task: &str) -> Result<Map<String, Value>> {
        match self {
            Self::Passkey(options) => fields(task, options),
            Self::ReferencePasskey(options) => {
                let mut known = fields(task, options)?;
                known.insert(PRESET.to_owned(), json!("default"));
                Ok(known)
            }
            Self::KeyValue(options) => fields(task, options),
            Self::ListRecall(options) => fields(task, options),
            Self::CoinFlip(options) => fields(task, options),
            Self::Arithmetic(options) => fields(task, options),
            Self::Capitals(options) => fields(task, options),
            Self::Cities(options) | Self::ReferenceConflict(options) => fields(task, options),
            Self::Conflict(options) => fields(task, options),
            Self::ReferenceConflictOfFile(_) => Ok(file_options(Schema::Cities)),
            Self::SmallFacts(options) => fields(task, options),
            Self::SmallPasskey(options) => fields(task, options),
            Self::SmallKeyValue(options) => fields(task, options),
            Self::SmallConflict(options) => fields(task, options),
            Self::Facts(options) => {
                let mut known = fields(task, options)?;
                // A relation's own template stands in the file.
                known.remove("templates");
                Ok(known)
            }
            Self::File(schema, _) => Ok(file_options(*schema)),
        }
    }

    /// The set with the options `given`, and with `seed` where it has one and they do not say it.
    pub(super) fn with(
        self,
        task: &str,
        given: &[(String, String)],
        seed: Option<u64>,
    ) -> Result<Self> {
        let known = self.defaults(task)?;
        let says = |name: &str| given.iter().any(|(option, _)| option == name);
        let seed = seed.filter(|_| known.contains_key(SEED) && !says(SEED)).map(|n| n.to_string());
        let given = given.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let mut given: Vec<(&str, &str)> = given.collect();
        given.extend(seed.as_deref().map(|seed| (SEED, seed)));
        Ok(match self {
            Self::Passkey(base) => Self::Passkey(change(task, base, &known, given)?),
            Self::ReferencePasskey(_) => {
                let (presets, given): (Vec<_>, Vec<_>) =
                    given.into_iter().partition(|(name, _)| *name == PRESET);
                let base = preset(task, presets.first().map(|(_, name)| *name))?;
                Self::ReferencePasskey(change(task, base, &known, given)?)
            }
            Self::KeyValue(base) => Self::KeyValue(change(task, base, &known, given)?),
            Self::ListRecall(base) => Self::ListRecall(change(task, base, &known, given)?),
            Self::CoinFlip(base) => Self::CoinFlip(change(task, base, &known, given)?),
            Self::Arithmetic(base) => Self::Arithmetic(change(task, base, &known, given)?),
            Self::Capitals(base) => Self::Capitals(change(task, base, &known, given)?),
            Self::Cities(base) => Self::Cities(change(task, base, &known, given)?),
            Self::Conflict(base) => Self::Conflict(change(task, base, &known, given)?),
            Self::ReferenceConflict(base) => {
                Self::ReferenceConflict(change(task, base, &known, given)?)
            }
            Self::ReferenceConflictOfFile(base) => {
                Self::ReferenceConflictOfFile(change(task, base, &known, given)?)
            }
            Self::SmallFacts(base) => Self::SmallFacts(change(task, base, &known, given)?),
            Self::SmallPasskey(base) => Self::SmallPasskey(change(task, base, &known, given)?),
            Self::SmallKeyValue(base) => Self::SmallKeyValue(change(task, base, &known, given)?),
            Self::SmallConflict(base) => Self::SmallConflict(change(task, base, &known, given)?),
            Self::Facts(base) => Self::Facts(change(task, base, &known, given)?),
            Self::File(schema, base) => Self::File(schema, change(task, base, &known, given)?),
        })
    }

    pub(super) fn open<'a>(
        self,
        task: &str,
        path: Option<&Path>,
        tokenizer: Option<&'a dyn Encode>,
    ) -> Result<Box<dyn Dataset + 'a>> {
        let language = || match path {
            Some(path) => Language::read(path),
            None => Language::new(LanguageConfig::default()),
        };
        let path = || path.ok_or_else(|| refuse(task, "it is read from a file; name one"));
        let tokenizer = || {
            let what = "its prompts are measured in tokens; a model's tokenizer is needed";
            tokenizer.ok_or_else(|| refuse(task, what))
        };
        Ok(match self {
            Self::Passkey(options) => Box::new(Passkey::new(options, tokenizer()?)?),
            Self::ReferencePasskey(options) => {
                Box::new(ReferencePasskey::new(options, tokenizer()?)?)
            }
            Self::KeyValue(options) => Box::new(KeyValue::new(options)?),
            Self::ListRecall(options) => Box::new(ListRecall::new(options)?),
            Self::CoinFlip(options) => Box::new(CoinFlip::new(options)?),
            Self::Arithmetic(options) => Box::new(Arithmetic::new(options)?),
            Self::Capitals(options) => Box::new(Capitals::new(options)?),
            Self::Cities(options) => Box::new(Cities::new(options)?),
            Self::Conflict(options) => Box::new(Conflict::new(options)?),
            Self::ReferenceConflict(options) => {
                Box::new(ReferenceConflict::new(Cities::new(options)?))
            }
            Self::ReferenceConflictOfFile(options) => {
                let cities = FileSet::open(path()?, Schema::Cities, &options)?;
                Box::new(ReferenceConflict::new(cities))
            }
            Self::SmallFacts(options) => Box::new(SmallFacts::new(&language()?, options)?),
            Self::SmallPasskey(options) => Box::new(SmallPasskey::new(&language()?, options)?),
            Self::SmallKeyValue(options) => Box::new(SmallKeyValue::new(&language()?, options)?),
            Self::SmallConflict(options) => Box::new(SmallConflict::new(&language()?, options)?),
            Self::Facts(options) => Box::new(KnowledgeQa::new(&Facts::read(path()?)?, options)?),
            Self::File(schema, options) => Box::new(FileSet::open(path()?, schema, &options)?),
        })
    }
}

const SEED: &str = "seed";
const PRESET: &str = "preset";

/// The options of a reader; which of them there are depends on the schema.
fn file_options(schema: Schema) -> Map<String, Value> {
    let mut options = Map::new();
    options.insert("format".to_owned(), Value::Null);
    match schema {
        Schema::Aqua => options.insert("options_in_prompt".to_owned(), json!(true)),
        Schema::Squad => options.insert("unanswerable".to_owned(), json!(Unanswerable::default())),
        _ => None,
    };
    options
}

/// What the reference asks its generator for.
fn preset(task: &str, name: Option<&str>) -> Result<ReferencePasskeyOptions> {
    match name {
        None | Some("default") => Ok(ReferencePasskeyOptions::default()),
        Some("wrapped") => Ok(ReferencePasskeyOptions::wrapped()),
        Some("evaluated") => Ok(ReferencePasskeyOptions::evaluated()),
        Some(name) => {
            let hint = hint(name, ["default", "wrapped", "evaluated"]);
            Err(refuse(task, format!("`{PRESET}` cannot be `{name}`: {hint}")))
        }
    }
}
