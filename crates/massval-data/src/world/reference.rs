//! The reference's knowledge conflict, which is none.

use serde_json::{Value, json};

use crate::{Dataset, Item, Result, Side};

const NAME: &str = "conflict_reference";

/// What the reference puts before every question, with its blank (P1, `run_datasets.py`).
pub const REFERENCE_SENTENCE: &str =
    "You should Know the new geography knowledge: ShiJiaZhuang is a new city in The USA. ";

/// The reference's knowledge conflict: one sentence before each item of a set of cities, scored
/// against the item's own label.
///
/// **This is the reference's bug, kept.** It makes a sentence about the city of each question and
/// never uses it; the one it uses is the same for all, about a city in no question, and the labels
/// stay what they were. So the set measures whether a sentence that does not matter disturbs what the
/// weights hold: no item has evidence, and the side is the other set's. [`Conflict`](super::Conflict)
/// is a conflict. The reference takes the first 100 items of its own `cities.csv`.
///
/// ```
/// use massval_data::Dataset;
/// use massval_data::world::{Cities, CitiesOptions, ReferenceConflict};
///
/// let cities = Cities::new(CitiesOptions::default())?;
/// let question = cities.item(0)?;
/// let item = ReferenceConflict::new(cities).item(0)?;
/// assert!(item.prompt.ends_with(&question.prompt));
/// assert_eq!(item.gold, question.gold);
/// # Ok::<(), massval_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ReferenceConflict<D> {
    cities: D,
}

impl<D: Dataset> ReferenceConflict<D> {
    /// The items of `cities`, after the sentence.
    pub fn new(cities: D) -> Self {
        Self { cities }
    }
}

impl<D: Dataset> Dataset for ReferenceConflict<D> {
    fn name(&self) -> &str {
        NAME
    }

    fn side(&self) -> Side {
        self.cities.side()
    }

    fn len(&self) -> Option<usize> {
        self.cities.len()
    }

    fn item(&self, index: usize) -> Result<Item> {
        let mut item = self.cities.item(index)?;
        item.id = format!("{NAME}/{}", item.id);
        item.prompt.insert_str(0, REFERENCE_SENTENCE);
        item.evidence = item.evidence.map(|bytes| {
            let by = REFERENCE_SENTENCE.len();
            bytes.start + by..bytes.end + by
        });
        // They were counted from another beginning.
        item.evidence_tokens = None;
        Ok(item)
    }

    fn identity(&self) -> Value {
        json!({ "set": NAME, "version": 1, "of": self.cities.identity() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Cities, CitiesOptions, Conflict, ConflictOptions};

    #[test]
    fn the_sentence_is_the_same_and_the_labels_stay() {
        let cities = Cities::new(CitiesOptions::default()).unwrap();
        let set = ReferenceConflict::new(cities.clone());
        assert_eq!((set.side(), set.len()), (Side::Parametric, Some(716)));
        for index in 0..100 {
            let (item, plain) = (set.item(index).unwrap(), cities.item(index).unwrap());
            assert_eq!(item.prompt, format!("{REFERENCE_SENTENCE}{}", plain.prompt));
            assert_eq!(
                (item.gold, item.choices, item.pair),
                (plain.gold, plain.choices, plain.pair)
            );
            assert_eq!(item.evidence, None);
            assert_ne!(item.id, plain.id);
        }
        assert_ne!(set.identity(), cities.identity());
    }

    #[test]
    fn evidence_moves_with_the_prompt() {
        let inner = Conflict::new(ConflictOptions::default()).unwrap();
        let (item, plain) =
            (ReferenceConflict::new(inner.clone()).item(3).unwrap(), inner.item(3).unwrap());
        assert_eq!(item.prompt[item.evidence.unwrap()], plain.prompt[plain.evidence.unwrap()]);
    }
}
