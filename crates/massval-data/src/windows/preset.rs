//! The windows of the papers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Bos, Pick, Windows};
use crate::{Error, Result};

/// A text that the papers measure perplexity or statistics on.
///
/// ```
/// use massval_data::windows::{Bos, Pick, Preset, Protocol};
/// let rule = "pg19".parse::<Preset>()?.windows(Protocol::Locuslab, 2048);
/// assert_eq!((rule.bos, rule.limit, rule.documents), (Bos::Text, Some(100), Pick::First(5)));
/// # Ok::<(), massval_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Preset {
    /// The raw test part of WikiText-2: all rows joined by blank lines, all windows.
    Wikitext2,
    /// The first 5000 documents of a C4 sample (`NeelNanda/c4-10k`) joined by spaces, 100 windows.
    C4,
    /// The first 5 books of PG-19's validation part (`emozilla/pg19`) joined by spaces, 100 windows.
    Pg19,
    /// 500 random documents of a RedPajama sample joined by blank lines, 50 windows: the text of the
    /// statistics. The papers draw with numpy's seed 42; the draws here are other ones.
    Redpajama,
}

/// Whose code the windows are those of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Protocol {
    /// *A Refined Analysis of Massive Activations* (P2) without BOS.
    Bluorion,
    /// The same with BOS, which costs every window its last token ([`Bos::WindowDropLast`]).
    BluorionBos,
    /// *Massive Activations in Large Language Models* (P0): on C4 and PG-19 the tokenizer adds one BOS
    /// before the joined text, so that only the first window has one; on the others none.
    Locuslab,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Wikitext2, Self::C4, Self::Pg19, Self::Redpajama];

    /// Its name, as in options.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wikitext2 => "wikitext2",
            Self::C4 => "c4",
            Self::Pg19 => "pg19",
            Self::Redpajama => "redpajama",
        }
    }

    /// Its rule, with windows of `length` tokens: 4096 in the papers' perplexities where the model
    /// takes as many (GPT-2 1024, OPT 2048), and in P2's statistics; 2048 in P0's statistics.
    #[must_use]
    pub fn windows(self, protocol: Protocol, length: usize) -> Windows {
        let mut rule = Windows::new(length);
        (rule.documents, rule.limit) = match self {
            Self::Wikitext2 => (Pick::All, None),
            Self::C4 => (Pick::First(5000), Some(100)),
            Self::Pg19 => (Pick::First(5), Some(100)),
            Self::Redpajama => (Pick::Random { count: 500, seed: 42 }, Some(50)),
        };
        if matches!(self, Self::C4 | Self::Pg19) {
            rule.join = " ".to_owned();
        }
        rule.bos = match (protocol, self) {
            (Protocol::BluorionBos, _) => Bos::WindowDropLast,
            (Protocol::Locuslab, Self::C4 | Self::Pg19) => Bos::Text,
            (Protocol::Bluorion | Protocol::Locuslab, _) => Bos::None,
        };
        rule
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            let what = format!("`{}` is unknown; there are {names}", name.escape_debug());
            Error::Options { task: "windows".to_owned(), what }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_say_what_the_papers_did() {
        let sentence = |preset: Preset, protocol| preset.windows(protocol, 4096).to_string();
        assert_eq!(
            sentence(Preset::Wikitext2, Protocol::Locuslab),
            "windows of 4096 tokens, side by side, no BOS, a short last one left out; all documents, joined by \"\\n\\n\""
        );
        assert_eq!(
            sentence(Preset::C4, Protocol::BluorionBos),
            "windows of 4096 tokens, side by side, a BOS first in each in the place of its last token, \
             a short last one left out, at most 100; the first 5000 documents, joined by \" \""
        );
        assert_eq!(
            sentence(Preset::Pg19, Protocol::Locuslab),
            "windows of 4096 tokens, side by side, a BOS before the text, a short last one left out, \
             at most 100; the first 5 documents, joined by \" \""
        );
        assert_eq!(
            sentence(Preset::Redpajama, Protocol::Bluorion),
            "windows of 4096 tokens, side by side, no BOS, a short last one left out, at most 50; \
             500 documents drawn with seed 42, joined by \"\\n\\n\""
        );
    }

    #[test]
    fn names_and_rules_survive_text() {
        for preset in Preset::ALL {
            assert_eq!(preset.to_string().parse::<Preset>().unwrap(), preset);
            let rule = preset.windows(Protocol::BluorionBos, 128);
            let text = serde_json::to_string(&rule).unwrap();
            assert_eq!(serde_json::from_str::<Windows>(&text).unwrap(), rule);
        }
        let message = "wiki".parse::<Preset>().unwrap_err().to_string();
        assert!(message.contains("`wiki` is unknown; there are wikitext2, c4"), "{message}");
    }
}
