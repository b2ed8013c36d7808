//! SQuAD: questions that a text answers (Rajpurkar et al. 2016, 2018).

use std::path::Path;

use serde_json::Value;

use super::unplaced;
use crate::read::format::Tree;
use crate::read::record::{Record, cut};
use crate::read::{Limits, Records};
use crate::{Gold, Item, Result};

/// The questions of a file of JSON: nested in paragraphs as published, or a list of flat ones.
pub(super) fn nested(path: &Path, limits: Limits) -> Result<Records> {
    let tree = Tree::open(path, limits)?;
    let root = tree.root()?;
    let articles = if root.is_list() { root.list()? } else { root.field("data")?.list()? };
    let mut records = Vec::new();
    for article in articles {
        if !article.has("paragraphs") {
            records.push(Ok(article.record()?));
            continue;
        }
        for paragraph in article.field("paragraphs")?.list()? {
            let context = Value::String(paragraph.field("context")?.text()?);
            for question in paragraph.field("qas")?.list()? {
                records.push(Ok(question.record()?.with("context", context.clone())));
            }
        }
    }
    Ok(Box::new(records.into_iter()))
}

/// The item of a question; `None` if the context has no answer to it.
pub(super) fn item(record: &Record) -> Result<Option<Item>> {
    let context = record.words("context")?;
    let question = record.words("question")?;
    let answers = answers(record)?;
    let impossible = match record.optional("is_impossible") {
        Some(_) => record.flag("is_impossible")?,
        None => false,
    };
    let Some(first) = answers.first().filter(|_| !impossible) else {
        return match answers.is_empty() {
            true => Ok(None),
            false => Err(record.error("is_impossible", "true, but there are answers")),
        };
    };
    let evidence = match first.start {
        Some(start) => Some(span(record, context, &first.text, start)?),
        None => None,
    };
    let mut spellings: Vec<String> = Vec::new();
    for answer in &answers {
        if !spellings.contains(&answer.text) {
            spellings.push(answer.text.clone());
        }
    }
    let gold = Gold::Text { answers: spellings };
    let mut item = unplaced(format!("{context}\n{question}"), gold, Vec::new());
    // The context stands at the beginning of the prompt.
    item.evidence = evidence;
    Ok(Some(item))
}

struct Answer {
    text: String,
    /// The character of the context that it begins at.
    start: Option<usize>,
}

impl Answer {
    /// An answer from its two parts; `place` names them in messages.
    fn read(
        record: &Record,
        place: impl Fn(&str) -> String,
        (text, start): (Option<&Value>, Option<&Value>),
    ) -> Result<Self> {
        let Some(text) = text.and_then(Value::as_str).filter(|text| !text.trim().is_empty()) else {
            return Err(record.error(&place("text"), "not a text, empty, or missing"));
        };
        let start = match start.filter(|start| !start.is_null()) {
            None => None,
            Some(start) => match start.as_u64().and_then(|start| usize::try_from(start).ok()) {
                Some(start) => Some(start),
                None => {
                    let what = "not a count of characters";
                    return Err(record.error(&place("answer_start"), what));
                }
            },
        };
        Ok(Self { text: text.to_owned(), start })
    }
}

/// The answers: a list of objects as published, or an object of lists as on the hub.
fn answers(record: &Record) -> Result<Vec<Answer>> {
    match record.value("answers")? {
        Value::Array(list) => {
            let each = |(at, answer): (usize, &Value)| {
                let place = |field: &str| format!("answers[{at}].{field}");
                let parts = (answer.get("text"), answer.get("answer_start"));
                Answer::read(record, place, parts)
            };
            list.iter().enumerate().map(each).collect()
        }
        Value::Object(lists) => {
            let Some(Value::Array(texts)) = lists.get("text") else {
                return Err(record.error("answers.text", "not a list of texts, or missing"));
            };
            let starts = match lists.get("answer_start") {
                None | Some(Value::Null) => None,
                Some(Value::Array(starts)) if starts.len() == texts.len() => Some(starts),
                Some(_) => {
                    let what = format!("not a list of {}, one for each text", texts.len());
                    return Err(record.error("answers.answer_start", what));
                }
            };
            let each = |(at, text): (usize, &Value)| {
                let place = |field: &str| format!("answers.{field}[{at}]");
                let start = starts.and_then(|starts| starts.get(at));
                Answer::read(record, place, (Some(text), start))
            };
            texts.iter().enumerate().map(each).collect()
        }
        _ => Err(record.error("answers", "neither a list of answers nor an object of lists")),
    }
}

/// The bytes of the answer. Its beginning is counted in characters.
fn span(
    record: &Record,
    context: &str,
    answer: &str,
    start: usize,
) -> Result<std::ops::Range<usize>> {
    let begin = context.char_indices().map(|(byte, _)| byte).nth(start);
    match begin.filter(|begin| context[*begin..].starts_with(answer)) {
        Some(begin) => Ok(begin..begin + answer.len()),
        None => {
            let what = format!("the context does not have `{}` at character {start}", cut(answer));
            Err(record.error("answers", what))
        }
    }
}
