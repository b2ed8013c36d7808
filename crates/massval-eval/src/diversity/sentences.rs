//! Sentences of a lower-cased text: Punkt's procedure (Kiss and Strunk 2006) without what it learns.
//!
//! In lower-cased text most of what Punkt learned has no say: that a word follows in lower case is
//! always taken as a sign that no sentence begins after an abbreviation, an initial or a number.
//! What is left are the abbreviations, for which a list stands here.

/// English abbreviations that end in a full stop, without it.
const ABBREVIATIONS: &[&str] = &[
    "a.d", "a.m", "adm", "apr", "assn", "aug", "ave", "b.c", "blvd", "bros", "ca", "capt", "cf",
    "cmdr", "co", "col", "corp", "d.c", "dec", "dept", "dr", "e.g", "esp", "est", "etc", "feb",
    "fig", "fri", "ft", "gen", "gov", "hon", "i.e", "inc", "jan", "jr", "lt", "ltd", "maj",
    "messrs", "mon", "mr", "mrs", "ms", "mt", "nov", "oct", "p.m", "ph.d", "prof", "rep", "rev",
    "sen", "sept", "sgt", "sr", "st", "u.k", "u.n", "u.s", "u.s.a", "vs",
];

/// Cuts a lower-cased text into its sentences, without the blanks between them.
pub(crate) fn split(text: &str) -> Vec<&str> {
    let mut ends = Vec::new();
    // Words with their places; what decides stands in a word and the next one.
    let mut words = spans(text).into_iter().peekable();
    while let Some((start, end)) = words.next() {
        let next = words.peek().map(|&(start, end)| &text[start..end]);
        if let Some(at) = break_in(&text[start..end], next) {
            ends.push(start + at);
        }
    }
    let mut sentences = Vec::new();
    let mut start = 0;
    for end in ends {
        // Quotes and brackets that close right after the end belong to the sentence.
        let rest = &text[end..];
        let closing = rest.len() - rest.trim_start_matches(['"', '\'', ')', ']', '}']).len();
        let closed = rest[closing..].chars().next().is_none_or(char::is_whitespace);
        let end = if closed { end + closing } else { end };
        sentences.push(text[start..end].trim());
        start = end;
    }
    sentences.push(text[start..].trim());
    sentences.retain(|s| !s.is_empty());
    sentences
}

/// Where the words between white space begin and end.
fn spans(text: &str) -> Vec<(usize, usize)> {
    let mut spans = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices() {
        match (start, c.is_whitespace()) {
            (None, false) => start = Some(at),
            (Some(from), true) => {
                spans.push((from, at));
                start = None;
            }
            _ => {}
        }
    }
    spans.extend(start.map(|from| (from, text.len())));
    spans
}

/// Where in a word, if anywhere, a sentence ends: after its last mark that stands before punctuation
/// or at the word's end.
fn break_in(word: &str, next: Option<&str>) -> Option<usize> {
    let marks = word.char_indices().filter(|(_, c)| is_mark(*c));
    let (at, after) = marks
        .filter_map(|(at, _)| {
            let after = &word[at + 1..];
            match after.chars().next() {
                Some(c) if is_non_word(c) => Some((at + 1, &after[..c.len_utf8()])),
                None => next.map(|next| (at + 1, next)),
                Some(_) => None,
            }
        })
        .next_back()?;
    // Tokens up to the mark, and what follows it. The last one ends no sentence.
    let glued = at < word.len();
    let mut tokens =
        tokens(&if glued { format!("{}{after}", &word[..at]) } else { word[..at].to_owned() });
    if !glued {
        tokens.extend(self::tokens(after));
    }
    tokens.windows(2).any(|pair| ends_sentence(&pair[0], &pair[1])).then_some(at)
}

fn is_mark(c: char) -> bool {
    matches!(c, '.' | '?' | '!')
}

/// Characters that are no part of a word.
fn is_non_word(c: char) -> bool {
    matches!(c, ')' | '"' | ';' | '}' | ']' | '*' | ':' | '@' | '\'' | '(' | '{' | '[' | '?' | '!')
}

fn ends_sentence(token: &str, next: &str) -> bool {
    if matches!(token, "?" | "!") {
        return true;
    }
    let Some(stem) = token.strip_suffix('.') else { return false };
    if stem.ends_with('.') {
        return false;
    }
    let known = |stem: &str| ABBREVIATIONS.binary_search(&stem).is_ok();
    if known(stem) || stem.rsplit('-').next().is_some_and(known) {
        return false;
    }
    // After an initial or a number a lower-case word or punctuation goes on with the sentence.
    let mut letters = stem.chars();
    let initial = letters.next().is_some_and(char::is_alphabetic) && letters.next().is_none();
    let goes_on = matches!(next, ";" | ":" | "," | "." | "?" | "!")
        || next.chars().next().is_some_and(char::is_lowercase);
    !((initial || is_number(stem)) && goes_on)
}

fn is_number(stem: &str) -> bool {
    let stem = stem.strip_prefix('-').unwrap_or(stem);
    let stem = stem.strip_prefix(['.', ',']).unwrap_or(stem);
    stem.starts_with(|c: char| c.is_ascii_digit())
        && stem.chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | '.' | '-'))
}

/// Punkt's tokens of a text without blanks: words with the full stops in them, and other punctuation.
fn tokens(word: &str) -> Vec<String> {
    let chars: Vec<char> = word.chars().collect();
    let run = |from: usize| {
        let c = chars[from];
        let len = chars[from..].iter().take_while(|x| **x == c).count();
        if matches!(c, '-' | '.') && len >= 2 { len } else { 0 }
    };
    let stops = |at: usize| at >= chars.len() || is_non_word(chars[at]) || run(at) > 0;
    let mut out = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let mut end = at + run(at).max(1);
        let begins_word = !"(\"`{[:;&#*@)}]-,".contains(chars[at]);
        if run(at) == 0 && begins_word {
            while !(stops(end) || chars[end] == ',' && stops(end + 1)) {
                end += 1;
            }
        }
        out.push(chars[at..end].iter().collect());
        at = end;
    }
    out
}
