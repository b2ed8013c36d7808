//! The questions.

use std::collections::{BTreeMap, HashSet};

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::facts::{Fact, Facts};
use super::fold;
use super::template::Template;
use crate::draw::{below, item_rng, shuffle};
use crate::identity::{Identity, sha256};
use crate::{Choice, Dataset, Error, Gold, Item, Result, Role, Side};

const NAME: &str = "knowledge_qa";

/// How often a false object is drawn by chance, before all of them are tried.
const DRAWS: usize = 64;

/// What decides, with the facts, the items of a [`KnowledgeQa`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KnowledgeQaOptions {
    /// The seed of the order and of the false objects.
    pub seed: u64,
    /// How relations are asked for that have no template of their own; `{subject}`, `{object}` and
    /// `{relation}` stand for the parts of a fact.
    pub template: String,
    /// Templates by relation. They go before those of the file.
    pub templates: BTreeMap<String, String>,
}

impl Default for KnowledgeQaOptions {
    /// "Is Paris the capital of France?"
    fn default() -> Self {
        Self {
            seed: 0,
            template: "Is {object} the {relation} of {subject}?".to_owned(),
            templates: BTreeMap::new(),
        }
    }
}

/// Questions to be answered by yes or no, two of each fact: one with its own object, one with an
/// object of another fact of its relation. The two are neighbours and a pair.
///
/// - The object of a false question is drawn among the relation's facts, so that a frequent one is
///   as frequent in false questions; an answer cannot be guessed from the object alone.
/// - No false question is one that the facts make true, and no question is there twice, letter case
///   aside. A fact for which no false question is left makes no items: [`KnowledgeQa::left_out`].
///
/// That an object is false of a subject is known from the facts alone: they must be complete for the
/// subjects they have.
#[derive(Debug, Clone)]
pub struct KnowledgeQa {
    pairs: Vec<Pair>,
    left_out: Vec<Fact>,
    identity: Identity,
}

#[derive(Debug, Clone)]
struct Pair {
    true_question: String,
    false_question: String,
}

impl KnowledgeQa {
    /// The questions about `facts`.
    ///
    /// # Errors
    /// [`Error::Options`] without facts or without a question, for a fact with an empty part, for a
    /// relation with fewer than two objects, for a bad template, and for a template of a relation
    /// that no fact has.
    pub fn new(facts: &Facts, options: KnowledgeQaOptions) -> Result<Self> {
        let all = facts.as_slice();
        check(all)?;
        let relations = relations(facts, &options)?;
        let ask = |relation: &Relation, fact, object: &Fact| {
            relation.template.question(fact, &object.object)
        };

        let mut asked: HashSet<String> = HashSet::new();
        let mut truths = Vec::new();
        for relation in &relations {
            for fact in relation.facts {
                let question = ask(relation, fact, fact);
                // Two relations may ask the same.
                if asked.insert(fold(&question)) {
                    truths.push((relation, fact, question));
                }
            }
        }

        let (mut pairs, mut left_out) = (Vec::new(), Vec::new());
        for (number, (relation, fact, true_question)) in truths.into_iter().enumerate() {
            let mut rng = item_rng("knowledge_qa/false", options.seed, number);
            let subject = fold(&fact.subject);
            let false_question = relation
                .objects(&mut rng)
                .filter(|object| fold(&object.object) != subject)
                .map(|object| ask(relation, fact, object))
                .find(|question| asked.insert(fold(question)));
            match false_question {
                Some(false_question) => pairs.push(Pair { true_question, false_question }),
                None => left_out.push(fact.clone()),
            }
        }
        if pairs.is_empty() {
            return Err(error("no fact has an object that is false of its subject".to_owned()));
        }

        shuffle(&mut item_rng("knowledge_qa/order", options.seed, 0), &mut pairs);
        let made: Vec<_> =
            pairs.iter().map(|pair| [&pair.true_question, &pair.false_question]).collect();
        let identity =
            Identity::new(NAME, 1, &options, &sha256(&serde_json::json!(made).to_string()));
        Ok(Self { pairs, left_out, identity })
    }

    /// The facts that make no items, for every object of their relation that is false of their
    /// subject is in a question already.
    #[must_use]
    pub fn left_out(&self) -> &[Fact] {
        &self.left_out
    }
}

/// A relation, its facts, and how it is asked for.
struct Relation<'a> {
    facts: &'a [Fact],
    /// A fact of every distinct object.
    distinct: Vec<&'a Fact>,
    template: Template,
}

impl<'a> Relation<'a> {
    /// Facts for their objects: as frequent as they are at first, then every object once.
    fn objects(&self, rng: &mut ChaCha8Rng) -> impl Iterator<Item = &'a Fact> {
        let facts = self.facts;
        let start = below(rng, self.distinct.len());
        let drawn = (0..DRAWS).filter_map(move |_| facts.get(below(rng, facts.len())));
        let (before, after) = self.distinct.split_at(start);
        drawn.chain(after.iter().chain(before).copied())
    }
}

/// The relations of `facts`, which are sorted by relation.
fn relations<'a>(facts: &'a Facts, options: &KnowledgeQaOptions) -> Result<Vec<Relation<'a>>> {
    let default = Template::parse(&options.template).map_err(error)?;
    let mut given = BTreeMap::new();
    for (relation, text) in &options.templates {
        let template = Template::parse(text).map_err(error)?;
        if given.insert(fold(relation), (relation, template)).is_some() {
            return Err(error(format!("the relation `{relation}` has two templates")));
        }
    }

    let mut relations = Vec::new();
    for facts_of in facts.as_slice().chunk_by(|a, b| fold(&a.relation) == fold(&b.relation)) {
        let Some(first) = facts_of.first() else { continue };
        let mut seen = HashSet::new();
        let distinct: Vec<_> =
            facts_of.iter().filter(|fact| seen.insert(fold(&fact.object))).collect();
        if distinct.len() < 2 {
            return Err(error(format!(
                "the relation `{}` has the object `{}` only; it needs two or more to ask what is false",
                first.relation, first.object
            )));
        }
        let key = fold(&first.relation);
        let template = match (given.remove(&key), facts.template(&key)) {
            (Some((_, template)), _) => template,
            (None, Some(text)) => Template::parse(text).map_err(error)?,
            (None, None) => default.clone(),
        };
        relations.push(Relation { facts: facts_of, distinct, template });
    }

    if let Some((relation, _)) = given.values().next() {
        let known = facts.as_slice().iter().map(|fact| fact.relation.as_str());
        let alike = |name: &&str| strsim::jaro_winkler(name, relation);
        let nearest = known.max_by(|a, b| alike(a).total_cmp(&alike(b))).unwrap_or_default();
        return Err(error(format!(
            "a template is given for `{relation}`, but no fact has that relation; did you mean `{nearest}`?"
        )));
    }
    Ok(relations)
}

fn check(facts: &[Fact]) -> Result<()> {
    if facts.is_empty() {
        return Err(error("there is no fact to ask about".to_owned()));
    }
    for fact in facts {
        if [&fact.subject, &fact.relation, &fact.object].iter().any(|part| part.trim().is_empty()) {
            return Err(error(format!("a part is empty of the fact {fact:?}")));
        }
    }
    Ok(())
}

fn error(what: String) -> Error {
    Error::Options { task: NAME.to_owned(), what }
}

impl Dataset for KnowledgeQa {
    fn name(&self) -> &str {
        self.identity.name()
    }

    fn side(&self) -> Side {
        Side::Parametric
    }

    fn len(&self) -> Option<usize> {
        Some(2 * self.pairs.len())
    }

    fn item(&self, index: usize) -> Result<Item> {
        let (number, truth) = (index / 2, index.is_multiple_of(2));
        let pair = self.pairs.get(number).ok_or_else(|| Error::Index {
            task: NAME.to_owned(),
            index,
            len: 2 * self.pairs.len(),
        })?;
        let question = if truth { &pair.true_question } else { &pair.false_question };
        let id = self.identity.item_id(index);
        let mut item = Item::new(index, id, question.as_str(), Gold::Truth { truth });
        let (right, wrong) = if truth { (" Yes", " No") } else { (" No", " Yes") };
        item.choices = vec![Choice::new(right, Role::Right), Choice::new(wrong, Role::Wrong)];
        item.pair = Some(number);
        Ok(item)
    }

    fn identity(&self) -> serde_json::Value {
        self.identity.value()
    }
}

#[cfg(test)]
mod tests;
