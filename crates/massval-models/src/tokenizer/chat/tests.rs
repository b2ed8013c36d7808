//! Every template shape renders as transformers renders it, and no template gets away with more.

use std::path::Path;

use serde_json::Value as Json;

use super::*;

fn fixture() -> Json {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tokenizer-chat/cases.json");
    serde_json::from_slice(&std::fs::read(path).expect("the fixture is in the repository"))
        .expect("the fixture is JSON")
}

fn text(value: &Json) -> &str {
    value.as_str().expect("a text")
}

fn render(source: &str) -> Result<String> {
    let options = ChatOptions::default();
    ChatTemplate::new(source.to_owned()).render(&[Message::user("hi")], &[], &options)
}

fn render_error(source: &str) -> String {
    render(source).expect_err("the template is refused").to_string()
}

#[test]
fn templates_render_as_in_transformers() {
    let fixture = fixture();
    let named: Vec<(String, String)> = fixture["tokens"]
        .as_object()
        .expect("an object")
        .iter()
        .map(|(name, token)| (name.clone(), text(token).to_owned()))
        .collect();
    let mut wrong = Vec::new();
    let cases = fixture["cases"].as_array().expect("a list");
    assert!(cases.len() > 100);
    for case in cases {
        let (template, chat) = (text(&case["template"]), text(&case["chat"]));
        let messages: Vec<Message> = fixture["chats"][chat]
            .as_array()
            .expect("a list")
            .iter()
            .map(|m| Message::new(text(&m["role"]), text(&m["content"])))
            .collect();
        let options = ChatOptions {
            add_generation_prompt: case["add_generation_prompt"] == true,
            date: None,
        };
        let source = text(&fixture["templates"][template]).to_owned();
        let got = ChatTemplate::new(source).render(&messages, &named, &options);
        let same = match (&got, case.get("rendered")) {
            (Ok(got), Some(expected)) => got == text(expected),
            (Err(got), None) => got.to_string().contains(text(&case["error"])),
            _ => false,
        };
        if !same {
            wrong.push(format!("{template} on {chat}: {got:?}\n  instead of {case}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn errors_name_the_line_and_fit_on_one() {
    let error = render_error("a\n{% if true %}\n{{ raise_exception('no\nway') }}{% endif %}");
    assert_eq!(error, "chat template: line 3: no way");
    let error = render_error("{{ 1 }}\n{% for %}");
    assert!(error.starts_with("chat template: line 2: syntax error"), "{error}");
    let error = render_error("\n{{ messages.frobnicate() }}");
    assert!(error.contains("line 2") && !error.contains('\n'), "{error}");
    assert!(render_error("{{ nothing.at.all }}").contains("undefined"));
}

#[test]
fn endless_templates_are_stopped() {
    let nested = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
    assert!(render_error(nested).contains("too long"));
    let recursive = "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}";
    assert!(render(recursive).is_err());
    let wide = "{% set s = 'x' * 1000000 %}{% for a in range(1000) %}{{ s }}{% endfor %}";
    assert!(render_error(wide).contains("MiB"));
}

#[test]
fn templates_reach_nothing_outside() {
    for source in ["{% include 'x' %}", "{% import 'x' as x %}", "{% extends 'x' %}"] {
        assert!(render(source).is_err(), "{source}");
    }
}

#[test]
fn the_date_comes_from_the_options_or_not_at_all() {
    let source = r#"{{ strftime_now("%d %b %Y") }}"#;
    assert!(render_error(source).contains("date"));
    let options = ChatOptions { date: ChatDate::new(2024, 7, 26), ..ChatOptions::default() };
    let text = ChatTemplate::new(source.to_owned()).render(&[], &[], &options);
    assert_eq!(text.expect("the date is there"), "26 Jul 2024");
    // A template that only would ask, if it were another day, needs none.
    assert_eq!(
        render("{% if false %}{{ strftime_now('%Y') }}{% endif %}ok").ok().as_deref(),
        Some("ok")
    );
}
