//! How a relation is asked for.

use super::facts::Fact;

/// A question with places for a fact's parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Words(String),
    Subject,
    Relation,
    Object,
}

impl Template {
    /// Reads `{subject}`, `{relation}` and `{object}`; the error says what is wrong with `text`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            let (words, place) = rest.split_at(open);
            let (name, after) = place
                .strip_prefix('{')
                .and_then(|place| place.split_once('}'))
                .ok_or_else(|| format!("`{text}` has a brace without its other half"))?;
            pieces.push(Piece::Words(words.to_owned()));
            pieces.push(match name {
                "subject" => Piece::Subject,
                "relation" => Piece::Relation,
                "object" => Piece::Object,
                _ => {
                    return Err(format!(
                        "`{text}` has a place `{{{name}}}`; use {{subject}}, {{object}} and {{relation}}"
                    ));
                }
            });
            rest = after;
        }
        pieces.push(Piece::Words(rest.to_owned()));
        for (place, name) in [(Piece::Subject, "{subject}"), (Piece::Object, "{object}")] {
            if !pieces.contains(&place) {
                return Err(format!("`{text}` has no place {name}"));
            }
        }
        Ok(Self(pieces))
    }

    /// The question whether `object` is the one of the fact. Underscores of the relation become
    /// blanks.
    pub(super) fn question(&self, fact: &Fact, object: &str) -> String {
        let relation = fact.relation.replace('_', " ");
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Words(words) => words.as_str(),
                Piece::Subject => fact.subject.as_str(),
                Piece::Relation => relation.as_str(),
                Piece::Object => object,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_and_a_part_is_not_read_again() {
        let fact = Fact::new("{object}", "place_of_birth", "Ulm");
        let template = Template::parse("{subject}: is {object} the {relation}? {object}").unwrap();
        assert_eq!(template.question(&fact, "Bonn"), "{object}: is Bonn the place of birth? Bonn");
    }

    #[test]
    fn bad_templates_say_what_is_wrong() {
        for (text, wanted) in [
            ("Is it {object}?", "`Is it {object}?` has no place {subject}"),
            ("{subject}?", "`{subject}?` has no place {object}"),
            ("", "`` has no place {subject}"),
            ("{subject", "`{subject` has a brace without its other half"),
            ("{subject} {object}}", "`{subject} {object}}` has a brace without its other half"),
            (
                "{subject} {objekt}",
                "`{subject} {objekt}` has a place `{objekt}`; use {subject}, {object} and {relation}",
            ),
        ] {
            assert_eq!(Template::parse(text).unwrap_err(), wanted);
        }
    }
}
