//! The `{% generation %}` block: transformers' own tag, which marks what the model says.
//!
//! It changes no text, so it is replaced by a block that Jinja has. `with` opens a scope, as the
//! call block does into which transformers turns the tag.

use std::borrow::Cow;

/// `source` with `generation` and `endgeneration` tags replaced; whitespace marks are kept.
pub(super) fn strip(source: &str) -> Cow<'_, str> {
    if !source.contains("generation") {
        return Cow::Borrowed(source);
    }
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        let Some(end) = tag.find("%}") else {
            rest = tag;
            break;
        };
        let (tag, after) = tag.split_at(end + 2);
        let inside = tag.trim_start_matches("{%").trim_end_matches("%}");
        let name = inside.trim_matches(['-', '+']).trim();
        let block = match name {
            "generation" => Some("with"),
            "endgeneration" => Some("endwith"),
            _ => None,
        };
        match block {
            // Only the word changes: line numbers in errors stay right.
            Some(block) => out.push_str(&tag.replace(name, block)),
            None => out.push_str(tag),
        }
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tag_is_replaced() {
        let source = "{{ add_generation_prompt }}{%- generation -%}\nx{% endgeneration %}{% if y";
        let expected = "{{ add_generation_prompt }}{%- with -%}\nx{% endwith %}{% if y";
        assert_eq!(strip(source), expected);
        assert_eq!(strip("{% if add_generation_prompt %}"), "{% if add_generation_prompt %}");
        assert_eq!(strip("plain"), "plain");
    }
}
