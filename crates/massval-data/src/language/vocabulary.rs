//! The words with their numbers, and the tokenizer files that say the same.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::LanguageConfig;
use super::facts::Relation;
use super::names::{ACTORS, ADJECTIVES, DIGITS, THINGS, VERBS, cities, countries, currencies};
use super::question;
use crate::identity::sha256;
use crate::{Encode, Error, Result, Token};

/// The tokens that are no words, in the order of their ids.
const SPECIAL: [&str; 4] = ["<unk>", "<s>", "</s>", "<pad>"];

/// The words of a small language, each a token.
///
/// Texts are words with single spaces between them, full stops and other marks included:
/// `the capital of dorland is felwick .`
///
/// ```
/// use massval_data::language::{Language, LanguageConfig, Vocabulary};
///
/// let language = Language::new(LanguageConfig::default())?;
/// let words = language.vocabulary();
/// let ids = words.ids("the cats see the lamp .")?;
/// assert_eq!(words.text(&ids), "the cats see the lamp .");
/// assert_eq!(words.id("<s>"), Some(Vocabulary::BOS));
/// assert!(words.ids("the lamps").unwrap_err().to_string().contains("`lamps`"));
/// # Ok::<(), massval_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Vocabulary {
    words: Vec<String>,
    ids: HashMap<String, u32>,
}

impl Vocabulary {
    /// The id of what is no word of the language.
    pub const UNKNOWN: u32 = 0;
    /// The id of `<s>`, with which every document begins.
    pub const BOS: u32 = 1;
    /// The id of `</s>`, with which every document ends.
    pub const EOS: u32 = 2;
    /// The id of `<pad>`. No row holds it; it is for whoever batches prompts.
    pub const PAD: u32 = 3;

    /// Of a valid config. Only the numbers of countries and cities matter.
    pub(super) fn new(config: &LanguageConfig) -> Self {
        let mut words = Self { words: Vec::new(), ids: HashMap::new() };
        let patterns = question::PATTERNS.into_iter();
        let patterns = patterns.chain(Relation::ALL.into_iter().flat_map(Relation::forms));
        let patterns = patterns.flat_map(|pattern| pattern.split(' ')).filter(|word| *word != "{}");
        for word in SPECIAL.into_iter().chain(patterns).chain(DIGITS) {
            words.add(word);
        }
        for word in ACTORS.as_flattened().iter().chain(VERBS.as_flattened()) {
            words.add(word);
        }
        for word in ADJECTIVES.iter().chain(&THINGS) {
            words.add(word);
        }
        let names =
            [countries(config.countries), currencies(config.countries), cities(config.cities)];
        for word in names.iter().flatten() {
            words.add(word);
        }
        words
    }

    /// Gives a word that has none the next id.
    fn add(&mut self, word: &str) {
        if !self.ids.contains_key(word) {
            self.ids.insert(word.to_owned(), self.words.len() as u32);
            self.words.push(word.to_owned());
        }
    }

    /// How many tokens there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Never.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The tokens in the order of their ids.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The id of a token.
    #[must_use]
    pub fn id(&self, word: &str) -> Option<u32> {
        self.ids.get(word).copied()
    }

    /// The ids of the words of a text; nothing is added.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] naming a word that is not of this language.
    pub fn ids(&self, text: &str) -> Result<Vec<u32>> {
        spaced(text).map(|(_, word)| self.known(word)).collect()
    }

    /// The text of some ids, with single spaces; `<unk>` for what is no token.
    #[must_use]
    pub fn text(&self, ids: &[u32]) -> String {
        let word = |id: &u32| self.words.get(*id as usize).map_or(SPECIAL[0], String::as_str);
        ids.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    fn known(&self, word: &str) -> Result<u32> {
        self.id(word).ok_or_else(|| Error::Tokenizer {
            what: format!("`{word}` is no word of the small language"),
        })
    }

    /// The file `tokenizer.json` of Hugging Face's tokenizers: words at spaces and marks, `<s>` in front.
    #[must_use]
    pub fn tokenizer(&self) -> Value {
        let vocab: Map<String, Value> =
            self.words.iter().zip(0_u32..).map(|(word, id)| (word.clone(), json!(id))).collect();
        let special = |(id, content): (usize, &str)| {
            json!({
                "id": id, "content": content, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true,
            })
        };
        let bos = json!({ "SpecialToken": { "id": "<s>", "type_id": 0 } });
        let first = json!({ "Sequence": { "id": "A", "type_id": 0 } });
        let second = json!({ "Sequence": { "id": "B", "type_id": 0 } });
        json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": SPECIAL.into_iter().enumerate().map(special).collect::<Vec<_>>(),
            "normalizer": null,
            "pre_tokenizer": { "type": "Whitespace" },
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [bos, first],
                "pair": [bos, first, second],
                "special_tokens": {
                    "<s>": { "id": "<s>", "ids": [Self::BOS], "tokens": ["<s>"] },
                },
            },
            "decoder": null,
            "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "<unk>" },
        })
    }

    /// The file `tokenizer_config.json` beside it, for a model that reads at most `tokens` tokens.
    #[must_use]
    pub fn tokenizer_config(&self, tokens: usize) -> Value {
        json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "unk_token": "<unk>",
            "bos_token": "<s>",
            "eos_token": "</s>",
            "pad_token": "<pad>",
            "clean_up_tokenization_spaces": false,
            "model_max_length": tokens,
        })
    }
}

impl Encode for Vocabulary {
    fn encode(&self, text: &str, special: bool) -> Result<Vec<Token>> {
        let bos = special.then_some(Ok(Token { id: Self::BOS, bytes: 0..0 }));
        let words = spaced(text).map(|(start, word)| {
            Ok(Token { id: self.known(word)?, bytes: start..start + word.len() })
        });
        bos.into_iter().chain(words).collect()
    }

    fn identity(&self) -> String {
        sha256(&self.words.join(" "))
    }
}

/// The words of a text with the bytes where they begin.
fn spaced(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    let words = text.split(' ').map(move |word| {
        let begun = start;
        start += word.len() + 1;
        (begun, word)
    });
    words.filter(|(_, word)| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn vocabulary(countries: usize, cities: usize) -> Vocabulary {
        Vocabulary::new(&LanguageConfig { countries, cities, ..LanguageConfig::default() })
    }

    #[test]
    fn no_list_has_a_word_of_another() {
        let names = [countries(32), currencies(32), cities(128)].concat();
        let plain = THINGS.iter().chain(&ADJECTIVES).chain(&DIGITS);
        let plain = plain.chain(ACTORS.as_flattened()).chain(VERBS.as_flattened());
        let patterns = question::PATTERNS.into_iter();
        let patterns = patterns.chain(Relation::ALL.into_iter().flat_map(Relation::forms));
        let patterns: HashSet<&str> =
            patterns.flat_map(|pattern| pattern.split(' ')).filter(|word| *word != "{}").collect();
        let all: Vec<&str> =
            plain.copied().chain(names.iter().map(String::as_str)).chain(patterns).collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
        assert_eq!(vocabulary(32, 128).len(), all.len() + SPECIAL.len());
    }

    #[test]
    fn a_larger_world_keeps_the_words_before_its_names() {
        let (small, large) = (vocabulary(16, 64), vocabulary(32, 128));
        assert_eq!(small.len(), 278);
        let names = small.id("arvonia").unwrap() as usize;
        assert_eq!(small.words()[..names], large.words()[..names]);
        assert_eq!(small.words()[..4], SPECIAL);
        assert!((256..=512).contains(&small.len()) && (256..=512).contains(&large.len()));
    }

    #[test]
    fn words_keep_their_bytes() {
        let words = vocabulary(16, 64);
        let tokens = words.encode("the cats  see .", true).unwrap();
        let bytes: Vec<_> = tokens.iter().map(|token| token.bytes.clone()).collect();
        assert_eq!(bytes, [0..0, 0..3, 4..8, 10..13, 14..15]);
        assert_eq!(tokens[0].id, Vocabulary::BOS);
        assert_eq!(words.encode("", false).unwrap(), []);
    }

    #[test]
    fn the_file_has_every_word_under_its_id() {
        let words = vocabulary(16, 64);
        let file = words.tokenizer();
        assert_eq!(file["model"]["vocab"].as_object().unwrap().len(), words.len());
        for (id, word) in words.words().iter().enumerate() {
            assert_eq!(file["model"]["vocab"][word], id);
        }
        for (place, id) in [Vocabulary::UNKNOWN, Vocabulary::BOS, Vocabulary::EOS, Vocabulary::PAD]
            .iter()
            .enumerate()
        {
            assert_eq!(file["added_tokens"][place]["id"], *id);
            assert_eq!(file["added_tokens"][place]["content"], SPECIAL[place]);
        }
        assert_eq!(words.tokenizer_config(96)["model_max_length"], 96);
    }
}
