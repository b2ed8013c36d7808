//! Tasks whose answer stands in the prompt, generated from a seed.
//!
//! | set | the prompt holds | the answer |
//! |---|---|---|
//! | [`Passkey`] | a number within much irrelevant text, at a chosen depth, in a chosen number of tokens | the number |
//! | [`ReferencePasskey`] | the same, draw for draw as the reference has it | the number |
//! | [`KeyValue`] | keys with values | the value of one key |
//! | [`ListRecall`] | a list of words | the list |
//! | [`CoinFlip`] | who flips a coin and who does not | yes or no |
//! | [`Arithmetic`] | a count, and what is added to it and taken from it | the count in the end |
//!
//! An item is a function of the options and its index alone. Every item says which bytes of its
//! prompt hold the evidence; [`Item::locate`](crate::Item::locate) finds which tokens.
//!
//! ```
//! use massval_data::Dataset;
//! use massval_data::generate::{CoinFlip, CoinFlipOptions};
//!
//! let set = CoinFlip::new(CoinFlipOptions { people: 2, ..CoinFlipOptions::default() })?;
//! let item = set.item(7)?;
//! assert_eq!(item, set.item(7)?);
//! assert!(item.prompt[item.evidence.unwrap()].starts_with("A coin is heads up."));
//! # Ok::<(), massval_data::Error>(())
//! ```

mod arithmetic;
mod coin_flip;
mod depths;
mod key_value;
mod list_recall;
mod passkey;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod text;
mod words;

pub use arithmetic::{Arithmetic, ArithmeticOptions};
pub use coin_flip::{CoinFlip, CoinFlipOptions};
pub use depths::Depths;
pub use key_value::{KeyKind, KeyValue, KeyValueForm, KeyValueOptions};
pub use list_recall::{ListRecall, ListRecallOptions};
pub use passkey::{Passkey, PasskeyOptions, ReferencePasskey, ReferencePasskeyOptions};

/// How many wrong alternatives stand beside the right one, where a set draws them.
const WRONG_CHOICES: usize = 3;
