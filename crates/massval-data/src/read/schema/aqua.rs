//! AQuA-RAT: problems with five options (Ling et al. 2017).

use super::unplaced;
use crate::read::record::{Record, cut};
use crate::{Choice, Gold, Item, Result, Role};

/// The letters of the options.
const LETTERS: [char; 5] = ['A', 'B', 'C', 'D', 'E'];

/// What P1 writes between the question and its options.
const OPTIONS: &str = " Choose the correct answer from the options: ";

pub(super) fn item(record: &Record, options_in_prompt: bool) -> Result<Item> {
    let question = record.words("question")?;
    let options = record.texts("options")?;
    if options.len() != LETTERS.len() {
        let what = format!("{} options where {} should be", options.len(), LETTERS.len());
        return Err(record.error("options", what));
    }
    let mut texts = Vec::with_capacity(options.len());
    for (place, (option, letter)) in options.iter().zip(LETTERS).enumerate() {
        match option.strip_prefix(letter).and_then(|rest| rest.strip_prefix(')')) {
            Some(text) => texts.push(text),
            None => {
                let what = format!("`{}` does not begin with `{letter})`", cut(option));
                return Err(record.error(&format!("options[{place}]"), what));
            }
        }
    }
    let correct = record.text("correct")?;
    let right = LETTERS.iter().position(|letter| correct.trim() == letter.to_string());
    let Some((right, text)) = right.and_then(|right| Some((right, *texts.get(right)?))) else {
        let what = format!("`{}` is not a letter from A to E", cut(correct));
        return Err(record.error("correct", what));
    };
    let letter = LETTERS[right];
    let gold = Gold::Option { letter, text: text.to_owned() };
    if options_in_prompt {
        let prompt = format!("{question}{OPTIONS}{}", options.join(" "));
        Ok(unplaced(prompt, gold, letters(letter)))
    } else {
        Ok(unplaced(question, gold, distinct(text, &texts)))
    }
}

fn letters(right: char) -> Vec<Choice> {
    let wrong = LETTERS.into_iter().filter(|letter| *letter != right);
    let wrong = wrong.map(|letter| Choice::new(format!(" {letter}"), Role::Wrong));
    std::iter::once(Choice::new(format!(" {right}"), Role::Right)).chain(wrong).collect()
}

/// The texts, each once: a model that has not seen the letters cannot tell equal ones apart.
fn distinct(right: &str, texts: &[&str]) -> Vec<Choice> {
    let mut seen = vec![right.trim()];
    let mut choices = vec![Choice::new(format!(" {}", right.trim()), Role::Right)];
    for text in texts.iter().map(|text| text.trim()) {
        if !seen.contains(&text) {
            seen.push(text);
            choices.push(Choice::new(format!(" {text}"), Role::Wrong));
        }
    }
    choices
}
