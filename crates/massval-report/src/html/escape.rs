//! Text from models and users, made safe for the places of a page.

use crate::words;

/// `text` as HTML text or as the value of a quoted attribute.
pub(super) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in words::plain(text).chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            c => out.push(c),
        }
    }
    out
}

/// `json` for the inside of a `<script>` element, where `</script>` or `<!--` would end or bend it.
/// In JSON these signs stand in strings only, where an escape means the same.
pub(super) fn script(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        let hostile = "<img src=x onerror=\"alert('1')\">&\u{0}";
        let expected = "&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;\\u{0}";
        assert_eq!(html(hostile), expected);
    }

    #[test]
    fn a_script_cannot_be_closed_from_its_data() {
        let json = serde_json::to_string("</script><!--<script>").unwrap();
        let safe = script(&json);
        assert!(!safe.contains('<'), "{safe}");
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), "</script><!--<script>");
    }
}
