//! Numbers and names as a person reads them, the same in tables, pages and figures.

use massval_detect::Criterion;

use crate::schema::{CountedTokens, ModelIdentity, ModelShape};

/// Stands for a value that does not exist.
pub(crate) const NONE: &str = "–";

/// A number in at most four places and a suffix: `0.52`, `6.28`, `62.8`, `628`, `63.2k`, `1.00M`.
pub(crate) fn short(x: f64) -> String {
    let places = |x: f64| match x.abs() {
        size if size >= 99.95 => format!("{x:.0}"),
        size if size >= 9.995 => format!("{x:.1}"),
        _ => format!("{x:.2}"),
    };
    match x.abs() {
        size if !size.is_finite() => NONE.to_owned(),
        size if size >= 999_500_000.0 => format!("{x:.1e}"),
        size if size >= 999_500.0 => format!("{}M", places(x / 1e6)),
        size if size >= 9_995.0 => format!("{}k", places(x / 1e3)),
        _ => places(x),
    }
}

/// [`short`], or a dash.
pub(crate) fn short_or_none(x: Option<f64>) -> String {
    x.map_or_else(|| NONE.to_owned(), short)
}

/// A number, or a dash.
pub(crate) fn or_none(x: Option<usize>) -> String {
    x.map_or_else(|| NONE.to_owned(), |x| x.to_string())
}

/// `count` things: `1 token`, `2 tokens`.
pub(crate) fn plural(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// `text` without characters that would move the cursor or break a line: names and token pieces
/// come from files that anybody may have written.
pub(crate) fn plain(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        // Directional overrides reorder the rest of a line.
        if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        out
    })
}

/// A token's text in quotes.
pub(crate) fn quoted(piece: &str) -> String {
    format!("\"{}\"", plain(piece))
}

/// When a channel counts as massive.
pub(crate) fn criterion(criterion: &Criterion) -> String {
    let rule = match criterion {
        Criterion::HeadMean { lambda } => format!("norm above {lambda} × the mean of its head"),
        Criterion::LayerMean { lambda } => format!("norm above {lambda} × the mean of its layer"),
        Criterion::TopK { k } => format!("the {k} largest norms of each head"),
        Criterion::Mad { k } => {
            format!("norm above its head's median by {k} median absolute deviations")
        }
        _ => String::new(),
    };
    format!("Massive ({criterion}): {rule}.")
}

/// Which tokens entered the norms.
pub(crate) fn counted(counted: &CountedTokens) -> String {
    let CountedTokens { total, start, end, skipped } = counted;
    let used = end.saturating_sub(*start).saturating_sub(skipped.len());
    match (used == *total, skipped.len()) {
        (true, _) => format!("{}, all counted.", plural(*total, "token")),
        (false, 0) => format!("{}, positions {start}..{end} counted.", plural(*total, "token")),
        (false, skips) => format!(
            "{}, positions {start}..{end} counted without {skips} of them.",
            plural(*total, "token")
        ),
    }
}

/// The attention shape in one line.
pub(crate) fn shape(shape: &ModelShape) -> String {
    let rope = match &shape.rope {
        None => "no rotary encoding".to_owned(),
        Some(rope) => {
            let part = match rope.rotary_dim == shape.head_dim {
                true => String::new(),
                false => format!(" of {} channels", rope.rotary_dim),
            };
            let scaling = rope.scaling.as_deref().map(|s| format!(", {} scaling", plain(s)));
            format!("RoPE{part} with base {}{}", rope.theta, scaling.unwrap_or_default())
        }
    };
    format!(
        "{}, {} and {}, {}, {rope}",
        plural(shape.layers, "layer"),
        plural(shape.heads, "query head"),
        plural(shape.kv_heads, "key-value head"),
        plural(shape.head_dim, "channel"),
    )
}

/// The last part of a model's path: what a person calls it.
pub(crate) fn model_name(model: &ModelIdentity) -> String {
    let name = &model.path_or_name;
    // A hub name is `org/name`; both halves are needed to find it again.
    let hub = name.matches('/').count() == 1 && !name.starts_with(['/', '.', '~']);
    let short = match hub && !name.ends_with(".gguf") {
        true => name,
        false => name.trim_end_matches('/').rsplit('/').next().unwrap_or(name),
    };
    plain(if short.is_empty() { name } else { short })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_numbers_keep_three_digits() {
        let cases = [
            (0.0, "0.00"),
            (6.284, "6.28"),
            (9.994, "9.99"),
            (9.996, "10.0"),
            (99.96, "100"),
            (628.3, "628"),
            (9_994.0, "9994"),
            (63_245.0, "63.2k"),
            (999_499.0, "999k"),
            (999_600.0, "1.00M"),
            (2.5e12, "2.5e12"),
            (-1234.5, "-1234"),
            (f64::INFINITY, NONE),
        ];
        for (x, expected) in cases {
            assert_eq!(short(x), expected, "{x}");
        }
    }

    #[test]
    fn hostile_text_cannot_move_the_cursor() {
        assert_eq!(plain("a\u{1b}[2Jb\n\u{202e}"), "a\\u{1b}[2Jb\\n\\u{202e}");
        assert_eq!(plain("Ġвода 水"), "Ġвода 水");
    }
}
