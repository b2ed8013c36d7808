//! Words of a sentence by the conventions of the Penn Treebank, as NLTK 3.9.1 cuts them.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// Replacements in the order in which they are made, as the conventions define them: each sees what
/// the ones before left. NLTK has two more for capital letters and one for closing brackets, which
/// change nothing in lower-cased text.
static RULES: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    [
        // Opening quotes: what stands at the beginning, or after a blank or bracket.
        (r"([«“‘„]|`+)", " $1 "),
        (r#"^""#, "``"),
        (r"(``)", " $1 "),
        (r#"([ (\[{<])("|'')"#, "$1 `` "),
        // A quote before a single letter, unless that is a clitic.
        (r"(')([\w--mtsdnMTSDN])\b", "$1 $2"),
        // The final full stop, before quotes and brackets that close.
        (r#"([^.])(\.)([\])}>"'»”’ ]*)\s*$"#, "$1 $2 $3 "),
        // Commas and colons, unless in a number.
        (r"([:,])(\D)", " $1 $2"),
        (r"([:,])$", " $1 "),
        (r"(\.{2,})", " $1 "),
        (r"([;@#$%&])", " $1 "),
        (r#"([^.])(\.)([\])}>"']*)\s*$"#, "$1 $2$3 "),
        (r"([?!])", " $1 "),
        (r"([^'])' ", "$1 ' "),
        (r"([*])", " $1 "),
        (r"([\]\[(){}<>])", " $1 "),
        (r"--", " -- "),
    ]
    .into_iter()
    .map(compile)
    .collect()
});

/// Those that are made after a blank was put at both ends.
static PADDED_RULES: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    [
        // Closing quotes, and clitics.
        (r"([»”’])", " $1 "),
        (r"''", " '' "),
        (r#"""#, " '' "),
        (r"\s+", " "),
        (r"([^' ])('s|'m|'d|') ", "$1 $2 "),
        (r"([^' ])('ll|'re|'ve|n't) ", "$1 $2 "),
        // Two words written as one.
        (r"\b(can)(not)\b", " $1 $2 "),
        (r"\b(d)('ye)\b", " $1 $2 "),
        (r"\b(gim)(me)\b", " $1 $2 "),
        (r"\b(gon)(na)\b", " $1 $2 "),
        (r"\b(got)(ta)\b", " $1 $2 "),
        (r"\b(lem)(me)\b", " $1 $2 "),
        (r"\b(more)('n)\b", " $1 $2 "),
        (r"\b(wan)(na)(\s)", " $1 $2 $3"),
        (r" ('t)(is)\b", " $1 $2 "),
        (r" ('t)(was)\b", " $1 $2 "),
    ]
    .into_iter()
    .map(compile)
    .collect()
});

fn compile((pattern, to): (&str, &'static str)) -> (Regex, &'static str) {
    (Regex::new(pattern).expect("a valid pattern"), to)
}

/// The words and punctuation of a lower-cased sentence.
pub(crate) fn tokenize(sentence: &str) -> Vec<String> {
    let mut text = sentence.to_owned();
    let apply = |text: &mut String, (pattern, to): &(Regex, &str)| {
        if let Cow::Owned(changed) = pattern.replace_all(text, *to) {
            *text = changed;
        }
    };
    RULES.iter().for_each(|rule| apply(&mut text, rule));
    text = format!(" {text} ");
    PADDED_RULES.iter().for_each(|rule| apply(&mut text, rule));
    text.split_whitespace().map(str::to_owned).collect()
}
