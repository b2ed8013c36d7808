//! One document: a text that is drawn to fit, with what it answers.

use std::ops::Range;

use rand_chacha::rand_core::RngCore;

use super::Language;
use super::filler::{self, fitting};
use super::question::{AGAIN, FIND, Question, SAY};
use crate::draw::{below, shuffle};

/// A text with single spaces, and the bytes of its answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) text: String,
    pub(super) answers: Vec<Range<usize>>,
}

impl Document {
    fn say(&mut self, words: &str) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(words);
    }

    fn answer(&mut self, words: &str) {
        self.say(words);
        self.answers.push(self.text.len() - words.len()..self.text.len());
        self.say(".");
    }

    fn ask(&mut self, question: &Question) {
        self.say(&question.prompt);
        self.answer(&question.answer);
    }
}

/// The most words of a list that is said twice.
const REPEATED: usize = 12;

impl Language {
    /// The next document of row `row`, of at most `room` words; plain text may have more, and is cut.
    pub(super) fn document(&self, rng: &mut impl RngCore, row: usize, room: usize) -> Document {
        let [facts, filler, ..] = self.config.mix.weights();
        let drawn = match weighted(rng, &self.config.mix.weights()) {
            2 => self.repeat(rng, room),
            3 => self.passkey(rng, room),
            4 => self.key_value(rng, row, room),
            5 => self.conflict(rng, room),
            0 => Some(self.told(rng)),
            _ => Some(self.plain(rng)),
        };
        drawn.unwrap_or_else(|| match weighted(rng, &[facts, filler]) {
            0 if facts > 0 => self.told(rng),
            _ => self.plain(rng),
        })
    }

    fn told(&self, rng: &mut impl RngCore) -> Document {
        let mut document = Document::default();
        let count = sentences(rng);
        for (fact, form) in self.facts.draw(rng, count) {
            document.say(&fact.prompt(form));
            document.answer(&fact.object);
        }
        document
    }

    fn plain(&self, rng: &mut impl RngCore) -> Document {
        let mut document = Document::default();
        for _ in 0..sentences(rng) {
            document.say(&filler::sentence(rng));
        }
        document
    }

    fn repeat(&self, rng: &mut impl RngCore, room: usize) -> Option<Document> {
        // two marks of two words and two full stops
        let most = (room.checked_sub(6)? / 2).min(REPEATED);
        let count = 3 + below(rng, most.checked_sub(3)? + 1);
        let words = self.keys.draw_words(rng, false, count).join(" ");
        let mut document = Document::default();
        document.say(&format!("{SAY} {words} . {AGAIN}"));
        document.answer(&words);
        Some(document)
    }

    fn passkey(&self, rng: &mut impl RngCore, room: usize) -> Option<Document> {
        let key = self.keys.draw_passkey(rng, false)?;
        let spare = room.checked_sub(Question::passkey(key, &[], 0).words())?;
        let words = below(rng, spare + 1);
        let noise = filler::sentences(rng, words);
        let place = below(rng, noise.len() + 1);
        let mut document = Document::default();
        document.ask(&Question::passkey(key, &noise, place));
        Some(document)
    }

    fn key_value(&self, rng: &mut impl RngCore, row: usize, room: usize) -> Option<Document> {
        // the mark, a question; three words a pair
        let most = (room.checked_sub(2 + 4)? / 3).min(self.most_pairs(row));
        let count = 1 + below(rng, most.max(1));
        let words = self.keys.draw_words(rng, false, 2 * count);
        let pairs: Vec<(&str, &str)> =
            words.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        let mut order: Vec<usize> = (0..count).collect();
        shuffle(rng, &mut order);
        let (first, others) = order.split_first()?;
        let question = Question::key_value(&pairs, *first)?;
        let spare = room.checked_sub(question.words())?;
        let mut document = Document::default();
        document.ask(&question);
        // What was read once may be asked for several times: more to learn from.
        let more = below(rng, others.len().min(spare / 4) + 1);
        for (key, value) in others.iter().take(more).filter_map(|&place| pairs.get(place)) {
            document.say(&format!("{FIND} {key}"));
            document.answer(value);
        }
        Some(document)
    }

    fn conflict(&self, rng: &mut impl RngCore, room: usize) -> Option<Document> {
        let drawn = self.draw_conflict(rng, false)?;
        let spare = room.checked_sub(drawn.question(&[], 0).words())?;
        let words = below(rng, spare + 1);
        let noise = self.noise(rng, words, &drawn.names());
        let place = below(rng, noise.len() + 1);
        let mut document = Document::default();
        document.ask(&drawn.question(&noise, place));
        Some(document)
    }

    /// Sentences of at most `words` words, one in four of them a fact that is not about `names`.
    pub(super) fn noise(
        &self,
        rng: &mut impl RngCore,
        words: usize,
        names: &[&str],
    ) -> Vec<String> {
        fitting(words, || match below(rng, 4) {
            0 => {
                let drawn = self.facts.draw(rng, 1);
                match drawn.first().filter(|(fact, _)| !fact.mentions(names)) {
                    Some((fact, form)) => format!("{} {} .", fact.prompt(*form), fact.object),
                    None => filler::sentence(rng),
                }
            }
            _ => filler::sentence(rng),
        })
    }

    /// The most pairs that a list of row `row` has.
    fn most_pairs(&self, row: usize) -> usize {
        let (pairs, ramp) = (self.config.pairs, self.config.ramp);
        if row >= ramp {
            return pairs;
        }
        let grown = (pairs - 1) as u128 * row as u128 / ramp as u128;
        1 + grown as usize
    }
}

/// How many sentences a document of sentences has.
fn sentences(rng: &mut impl RngCore) -> usize {
    3 + below(rng, 6)
}

/// A place in `weights`, as likely as its weight; the last if all are 0.
fn weighted(rng: &mut impl RngCore, weights: &[u32]) -> usize {
    let sum: usize = weights.iter().map(|&weight| weight as usize).sum();
    let mut drawn = below(rng, sum);
    for (place, &weight) in weights.iter().enumerate() {
        match drawn.checked_sub(weight as usize) {
            Some(rest) => drawn = rest,
            None => return place,
        }
    }
    weights.len().saturating_sub(1)
}
