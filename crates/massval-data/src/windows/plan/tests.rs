//! Windows against the rules they are named for.

use proptest::prelude::*;

use super::*;
use crate::windows::{Preset, Protocol};

const BOS: u32 = 1_000_000;

fn tokens(count: usize) -> Vec<u32> {
    (0..count as u32).collect()
}

/// How often each token of the text is scored, counted by hand.
fn counts(windows: &[Window], tokens: &[u32]) -> Vec<usize> {
    let mut counts = vec![0; tokens.len()];
    for window in windows {
        let ids = window.ids(tokens).unwrap();
        assert!(window.scored.start >= 1 && window.scored.end == ids.len());
        for position in window.scored.clone() {
            assert_ne!(ids[position], BOS);
            counts[ids[position] as usize] += 1;
        }
    }
    counts
}

/// The loop of Hugging Face's guide: what is read, and how many of its last tokens are targets.
fn guide(total: usize, length: usize, stride: usize) -> Vec<(usize, usize, usize)> {
    let (mut steps, mut previous, mut begin) = (Vec::new(), 0, 0);
    while begin < total {
        let end = (begin + length).min(total);
        steps.push((begin, end, end - previous));
        previous = end;
        if end == total {
            break;
        }
        begin += stride;
    }
    steps
}

#[test]
fn the_bluorion_bos_costs_every_window_its_last_token() {
    let rule = Preset::C4.windows(Protocol::BluorionBos, 4);
    let text = tokens(11);
    let windows = rule.plan(&text, Some(BOS)).unwrap();
    let ids: Vec<_> = windows.iter().map(|window| window.ids(&text).unwrap()).collect();
    assert_eq!(ids, [[BOS, 0, 1, 2], [BOS, 4, 5, 6], [BOS, 8, 9, 10]]);
    assert!(windows.iter().all(|window| window.scored == (1..4) && window.length() == 4));
}

#[test]
fn the_locuslab_bos_stands_once() {
    let rule = Preset::Pg19.windows(Protocol::Locuslab, 4);
    let text = tokens(8);
    let windows = rule.plan(&text, Some(BOS)).unwrap();
    let ids: Vec<_> = windows.iter().map(|window| window.ids(&text).unwrap()).collect();
    assert_eq!(ids, [[BOS, 0, 1, 2], [3, 4, 5, 6]]);
    assert_eq!(counts(&windows, &text), [1, 1, 1, 0, 1, 1, 1, 0]);
}

#[test]
fn a_limit_is_kept_and_a_bos_that_nobody_wants_is_not_used() {
    let mut rule = Windows::new(2);
    rule.limit = Some(3);
    let windows = rule.plan(&tokens(100), Some(BOS)).unwrap();
    assert_eq!(windows.len(), 3);
    assert_eq!(windows[2], Window { bos: None, text: 4..6, scored: 1..2 });
}

#[test]
fn rules_that_cannot_be_kept_are_refused() {
    let with = |bos, stride| Windows { bos, stride, ..Windows::new(4) };
    let cases = [
        (Windows::new(1), Some(BOS), 9, "take 2 or more"),
        (Windows::new(0), Some(BOS), 9, "take 2 or more"),
        (with(Bos::None, Some(0)), None, 9, "from 1 to 4"),
        (with(Bos::None, Some(5)), None, 9, "from 1 to 4"),
        (with(Bos::Window, Some(4)), Some(BOS), 9, "from 1 to 3"),
        (with(Bos::WindowDropLast, Some(4)), Some(BOS), 9, "exclude each other"),
        (with(Bos::Window, None), None, 9, "the tokenizer has none"),
        (with(Bos::Text, None), None, 9, "the tokenizer has none"),
        (Windows { limit: Some(0), ..Windows::new(4) }, None, 9, "at most 0"),
        (Windows::new(4), None, 3, "has 3 tokens, too few for one window of 4"),
        (Windows::new(4), None, 0, "has 0 tokens"),
        (Windows::sliding(4, 2), None, 1, "too few to score one"),
        (Windows::sliding(4, 2), None, 0, "too few to score one"),
    ];
    for (rule, bos, count, part) in cases {
        let message = rule.plan(&tokens(count), bos).unwrap_err().to_string();
        assert!(message.contains(part), "{rule}: {message}");
    }
    let huge = Windows::new(usize::MAX).plan(&tokens(3), None);
    assert!(huge.is_err());
}

#[test]
fn windows_of_other_tokens_are_refused() {
    let windows = Windows::new(4).plan(&tokens(8), None).unwrap();
    let message = windows[1].ids(&tokens(7)).unwrap_err().to_string();
    assert!(message.contains("ends at token 8, but the text has 7"), "{message}");
}

proptest! {
    #[test]
    fn side_by_side_no_token_counts_twice(
        total in 0usize..200,
        length in 2usize..40,
        bos in prop::sample::select(vec![Bos::None, Bos::Text, Bos::Window, Bos::WindowDropLast]),
        tail in prop::sample::select(vec![Tail::Drop, Tail::Keep]),
        limit in prop::option::of(1usize..5),
    ) {
        let rule = Windows { bos, tail, limit, ..Windows::new(length) };
        let text = tokens(total);
        if let Ok(windows) = rule.plan(&text, Some(BOS)) {
            prop_assert!(counts(&windows, &text).into_iter().all(|count| count <= 1));
            prop_assert!(limit.is_none_or(|limit| windows.len() <= limit));
            for window in &windows {
                prop_assert!(window.length() <= length);
                prop_assert!(tail == Tail::Keep || window.length() == length);
            }
        }
    }

    #[test]
    fn the_papers_windows_are_slices(total in 0usize..200, length in 2usize..40) {
        let text = tokens(total);
        let wanted: Vec<Vec<u32>> = text.chunks_exact(length).map(<[u32]>::to_vec).collect();
        match Windows::new(length).plan(&text, None) {
            Ok(windows) => {
                let ids: Vec<_> = windows.iter().map(|window| window.ids(&text).unwrap()).collect();
                prop_assert_eq!(ids, wanted);
            }
            Err(_) => prop_assert!(wanted.is_empty()),
        }
    }

    #[test]
    fn sliding_windows_are_the_guides(
        total in 2usize..200,
        (length, stride) in (2usize..40).prop_flat_map(|length| (Just(length), 1..=length)),
    ) {
        let text = tokens(total);
        let windows = Windows::sliding(length, stride).plan(&text, None).unwrap();
        // A target at the beginning of what is read has nothing before it: the shift drops it.
        let wanted: Vec<_> = guide(total, length, stride)
            .into_iter()
            .map(|(begin, end, targets)| (begin..end, (end - begin - targets).max(1)..end - begin))
            .filter(|(_, scored)| !scored.is_empty())
            .collect();
        let found: Vec<_> = windows.iter().map(|w| (w.text.clone(), w.scored.clone())).collect();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn where_windows_overlap_every_token_counts_once(
        total in 2usize..200,
        (length, stride) in (3usize..40).prop_flat_map(|length| (Just(length), 1..length - 1)),
        bos in prop::sample::select(vec![Bos::None, Bos::Text, Bos::Window]),
    ) {
        let text = tokens(total);
        let rule = Windows { bos, ..Windows::sliding(length, stride) };
        let counts = counts(&rule.plan(&text, Some(BOS)).unwrap(), &text);
        // Only a BOS can predict the first token.
        prop_assert_eq!(counts[0], usize::from(bos != Bos::None));
        prop_assert!(counts[1..].iter().all(|count| *count == 1));
    }
}
