//! A capital, and the city that a document puts in its place.

use rand_chacha::rand_core::RngCore;

use super::Language;
use super::facts::Fact;
use super::question::Question;
use crate::draw::below;

/// A capital, the form in which it is told, and what overrides it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Overridden<'l> {
    pub(super) fact: &'l Fact,
    pub(super) form: usize,
    pub(super) instead: &'l str,
}

impl Overridden<'_> {
    /// The question, with the overriding sentence told after the first `place` sentences of `noise`.
    pub(super) fn question(&self, noise: &[String], place: usize) -> Question {
        Question::conflict(&self.fact.prompt(self.form), self.instead, noise, place)
    }

    /// The names that nothing else in the document may tell of.
    pub(super) fn names(&self) -> [&str; 3] {
        [&self.fact.subject, &self.fact.object, self.instead]
    }
}

impl Language {
    /// A capital that training overrides, or one that it does not; in a form that training shows it in,
    /// so that the weights can know it. `None` if there is no such capital.
    pub(super) fn draw_conflict(
        &self,
        rng: &mut impl RngCore,
        held_out: bool,
    ) -> Option<Overridden<'_>> {
        let capitals = self.facts.capitals(held_out);
        let fact = *capitals.get(below(rng, capitals.len()))?;
        let form = fact.draw_form(rng);
        let others: Vec<&String> =
            self.facts.cities().iter().filter(|city| **city != fact.object).collect();
        let instead = others.get(below(rng, others.len()))?;
        Some(Overridden { fact, form, instead })
    }
}
