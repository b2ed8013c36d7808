//! Tasks whose answer stands in the weights: capitals and cities, and what happens when the prompt contradicts.
//!
//! | set | the question | the answer |
//! |---|---|---|
//! | [`Capitals`] | the capital of a country | its name |
//! | [`Cities`] | whether a city is in a country | yes or no, as often the one as the other |
//! | [`Conflict`] | the capital of a country, after the prompt has named another one | the prompt's, or the world's |
//! | [`ReferenceConflict`] | a question of another set, after a sentence that has nothing to do with it | the other set's |
//!
//! The facts are few, frozen, and from [GeoNames](https://www.geonames.org) (CC-BY 4.0); they stand
//! with their attribution and the script that made them in the crate's folder `data`. No capital is
//! disputed, and no name of a place gives its country away (as Tunis does): that knowledge would be
//! in the prompt.
//!
//! ```
//! use massval_data::{Dataset, Gold};
//! use massval_data::world::{Capitals, CapitalsOptions};
//!
//! let set = Capitals::new(CapitalsOptions::default())?;
//! let item = set.item(0)?;
//! assert!(item.prompt.starts_with("The capital of "));
//! assert!(matches!(item.gold, Gold::Text { .. }));
//! assert_eq!(item.choices.len(), 10);
//! # Ok::<(), massval_data::Error>(())
//! ```

mod capitals;
mod cities;
mod conflict;
mod reference;
mod table;

pub use capitals::{CapitalForm, Capitals, CapitalsOptions};
pub use cities::{Cities, CitiesOptions, CityForm};
pub use conflict::{Conflict, ConflictOptions, Override};
pub use reference::{REFERENCE_SENTENCE, ReferenceConflict};
