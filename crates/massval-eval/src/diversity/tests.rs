use std::collections::BTreeSet;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

/// A case of `fixtures/word-tokenize`, made by NLTK.
#[derive(Deserialize)]
struct Case {
    text: String,
    words: Vec<String>,
    sentences: Vec<String>,
    sentence_words: Vec<String>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../../../../fixtures/word-tokenize/cases.json")).unwrap()
}

#[test]
fn words_of_a_sentence_equal_nltk() {
    for case in cases() {
        assert_eq!(treebank::tokenize(&case.text), case.words, "{:?}", case.text);
    }
}

#[test]
fn sentences_equal_punkt_with_our_abbreviations() {
    for case in cases() {
        assert_eq!(sentences::split(&case.text), case.sentences, "{:?}", case.text);
    }
}

#[test]
fn diversity_is_that_of_nltks_words() {
    for case in cases() {
        for n in 1..4 {
            let want = slow(&case.sentence_words, n);
            let got = ngram_diversity(&case.text, n, Words::Treebank).unwrap();
            assert!((got - want).abs() < 1e-12, "{:?}", case.text);
        }
    }
}

/// Different n-grams over all of them, with n-grams as joined strings.
fn slow(words: &[String], n: usize) -> f64 {
    let mut all = Vec::new();
    for start in 0..words.len() {
        if start + n <= words.len() {
            all.push(words[start..start + n].join("\u{0}"));
        }
    }
    if all.is_empty() {
        return 0.0;
    }
    all.iter().collect::<BTreeSet<_>>().len() as f64 / all.len() as f64
}

#[test]
fn a_full_stop_depends_on_where_it_stands() {
    // Inside a sentence a number keeps its full stop before a lower-case word.
    let one = sentences::split("the answer is 18. see step 3.");
    assert_eq!(one.len(), 1);
    assert!(treebank::tokenize(one[0]).contains(&"18.".to_owned()));
}

#[test]
fn abbreviations_are_sorted_for_the_search() {
    for text in ["a.d. x", "vs. x", "u.s.a. x", "st. x", "dr. x", "co. x", "gen. x"] {
        assert_eq!(sentences::split(text).len(), 1, "{text}");
    }
}

#[test]
fn short_texts_have_no_ngrams() {
    for words in [Words::Treebank, Words::Whitespace] {
        assert_eq!(ngram_diversity("", 2, words).unwrap(), 0.0);
        assert_eq!(ngram_diversity("Yes", 2, words).unwrap(), 0.0);
        assert_eq!(ngram_diversity("Yes", 1, words).unwrap(), 1.0);
        assert_eq!(ngram_diversity("yes", 0, words), Err(Error::Zero));
        assert_eq!(ngram_diversity("yes", usize::MAX, words).unwrap(), 0.0);
    }
}

#[test]
fn the_mean_counts_texts_alike() {
    let texts = ["a b a b a", "a b c"];
    let mean = mean_ngram_diversity(&texts, 2, Words::Whitespace).unwrap();
    assert_eq!(mean, (0.5 + 1.0) / 2.0);
    assert_eq!(mean_ngram_diversity::<&str>(&[], 2, Words::Whitespace), Err(Error::Empty));
}

proptest! {
    #[test]
    fn any_text_has_a_share(text in "\\PC{0,60}", n in 1usize..4) {
        for words in [Words::Treebank, Words::Whitespace] {
            let share = ngram_diversity(&text, n, words).unwrap();
            prop_assert!((0.0..=1.0).contains(&share));
        }
    }

    #[test]
    fn sentences_keep_all_but_blanks(text in "[a-c .?!\"')(0-9\n,-]{0,40}") {
        let kept: String = sentences::split(&text).concat();
        let bare = |s: &str| s.split_whitespace().collect::<String>();
        prop_assert_eq!(bare(&kept), bare(&text));
    }
}
