//! The nearest name to one that nothing has.

/// How alike a name must be to be suggested (Jaro-Winkler similarity, 0 to 1).
const ALIKE: f64 = 0.75;

/// The candidate most like `name`, if one is like it at all; of equals the first.
pub(crate) fn nearest(name: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    let mut best: Option<(f64, String)> = None;
    for candidate in candidates {
        let likeness = strsim::jaro_winkler(name, &candidate);
        if likeness >= best.as_ref().map_or(ALIKE, |(most, _)| *most + f64::EPSILON) {
            best = Some((likeness, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// How `name` writes its layer, for suggestions that keep it: its first segment that looks like
/// one, or `0`.
pub(crate) fn layer_text(name: &str) -> String {
    let like_a_layer =
        |segment: &&str| *segment == "*" || segment.trim_start_matches('-').parse::<u64>().is_ok();
    name.split('.').find(like_a_layer).unwrap_or("0").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_alike_is_suggested() {
        let names = || ["rot_q", "rot_k", "resid_mid"].into_iter().map(str::to_owned);
        assert_eq!(nearest("rotq", names()).as_deref(), Some("rot_q"));
        assert_eq!(nearest("zebra", names()), None);
        assert_eq!(nearest("", names()), None);
    }

    #[test]
    fn the_layer_is_kept_as_written() {
        assert_eq!(layer_text("blocks.12.atn"), "12");
        assert_eq!(layer_text("blocks.-1.atn"), "-1");
        assert_eq!(layer_text("blocks.*.atn"), "*");
        assert_eq!(layer_text("rotq"), "0");
    }
}
