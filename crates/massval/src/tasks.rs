//! From a set of the catalog to a task: how long answers may be, and which of the reference's rules applies.

use massval_data::catalog::{self, Spec};
use massval_data::read::Schema;
use massval_data::{Encode, Gold};
use massval_eval::Task;
use massval_eval::score::ReferenceRule;

use crate::Result;

/// The task of a set by its [`Spec`], with the usual measures.
///
/// `limit` asks for the first items only; a set that has fewer is taken whole, one that makes as many as one
/// likes gives 100 without it. `seed` is for sets whose spec names none.
///
/// Answers are written greedily, up to the reference's number of tokens, or fewer where an answer is a word or
/// a number.
///
/// # Errors
/// Unknown names and options, files that cannot be read, sets without items.
pub fn task<'a>(
    spec: &Spec,
    limit: Option<usize>,
    seed: Option<u64>,
    tokenizer: &'a dyn Encode,
) -> Result<Task<'a>> {
    let dataset = catalog::open(spec, seed, Some(tokenizer))?;
    let items = match (limit, dataset.len()) {
        (Some(limit), Some(len)) => Some(limit.min(len)),
        (Some(limit), None) => Some(limit),
        (None, Some(_)) => None,
        (None, None) => Some(ITEMS),
    };
    let (write, rule) = answers(spec.entry().schema(), &dataset.item(0)?.gold);
    let mut task = Task::new(dataset, items, write)?;
    spec.entry().description.clone_into(&mut task.item);
    task.rule = rule.filter(|_| task.ask.write > 0);
    Ok(task)
}

/// Items of a set that makes as many as one likes.
const ITEMS: usize = 100;

/// Tokens that an answer may have, and the reference's rule for it, by the set's schema and kind of answer.
fn answers(schema: Option<Schema>, gold: &Gold) -> (usize, Option<ReferenceRule>) {
    match (schema, gold) {
        (Some(Schema::Gsm8k), _) => (500, Some(ReferenceRule::LastNumber)),
        (Some(Schema::Aqua), _) => (1000, Some(ReferenceRule::OptionText)),
        (Some(Schema::Squad), _) => (32, Some(ReferenceRule::Squad)),
        (_, Gold::Digits { digits }) => {
            // A token for each digit is what most tokenizers need, and a few for words before them.
            (digits.len() + 10, Some(ReferenceRule::PasskeySubstring))
        }
        (_, Gold::Sentiment { .. }) => (32, Some(ReferenceRule::OneMood)),
        (_, Gold::Truth { .. }) => (16, Some(ReferenceRule::CheckSentence)),
        (_, Gold::List { items }) => (8 * items.len().max(4), None),
        (_, Gold::Option { .. }) => (64, None),
        _ => (24, None),
    }
}
