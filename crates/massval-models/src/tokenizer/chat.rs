//! Chat templates: the Jinja programs that models ship to turn a conversation into a prompt, run
//! as transformers runs them, but bounded: a template comes from a stranger.

mod date;
mod generation;
mod json;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, ErrorKind, UndefinedBehavior, context};
use minijinja_contrib::pycompat::unknown_method_callback;

pub use date::ChatDate;

use crate::{Error, Result};

/// Instructions that one rendering may take. Real templates need some hundred per message.
const FUEL: u64 = 5_000_000;
/// Bytes that one rendering may write.
const MAX_OUTPUT: usize = 64 << 20;

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who speaks: `system`, `user`, `assistant`, or what else the template knows.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A message of any role.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into() }
    }

    /// A message of the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new("user", content)
    }

    /// A message of the model.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new("assistant", content)
    }

    /// A system message, which not every model knows.
    pub fn system(content: impl Into<String>) -> Self {
        Self::new("system", content)
    }
}

/// How a chat template is applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChatOptions {
    /// Whether the text ends where the model is to answer.
    pub add_generation_prompt: bool,
    /// What `strftime_now` gives to templates that write today's date (Llama 3.1 and later,
    /// SmolLM3). This library reads no clock; without a date such templates are an error.
    pub date: Option<ChatDate>,
}

/// A chat template as written by its author.
#[derive(Debug, Clone)]
pub(super) struct ChatTemplate {
    source: String,
}

impl ChatTemplate {
    pub(super) fn new(source: String) -> Self {
        Self { source }
    }

    /// `named` are the special tokens that the template sees, such as `bos_token`.
    pub(super) fn render(
        &self,
        messages: &[Message],
        named: &[(String, String)],
        options: &ChatOptions,
    ) -> Result<String> {
        let source = generation::strip(&self.source);
        let mut environment = environment(options.date).map_err(report)?;
        environment.add_template("chat_template", &source).map_err(report)?;
        let template = environment.get_template("chat_template").map_err(report)?;

        let messages: Vec<Value> = messages
            .iter()
            .map(|m| {
                Value::from_pairs([("role", m.role.as_str()), ("content", m.content.as_str())])
            })
            .collect();
        let variables = context! {
            messages => messages,
            add_generation_prompt => options.add_generation_prompt,
            // transformers passes both as None, not as undefined.
            tools => Value::from(()),
            documents => Value::from(()),
            ..Value::from_pairs(named.iter().map(|(name, token)| (name.as_str(), token.as_str())))
        };
        let mut out = Bounded(Vec::new());
        template.render_captured_to(variables, &mut out).map_err(report)?;
        String::from_utf8(out.0).map_err(|e| Error::ChatTemplate { what: e.to_string() })
    }
}

/// The environment of transformers' `render_jinja_template`.
fn environment<'s>(
    date: Option<ChatDate>,
) -> std::result::Result<Environment<'s>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(unknown_method_callback);
    environment.set_fuel(Some(FUEL));
    environment.add_filter("tojson", tojson);
    environment.add_function("raise_exception", |message: String| -> minijinja_result::Value {
        Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", move |format: &str| -> minijinja_result::Text {
        let date = date.ok_or_else(|| {
            minijinja::Error::new(
                ErrorKind::InvalidOperation,
                "the template writes today's date, which the chat options do not give",
            )
        })?;
        date.format(format).map_err(|what| minijinja::Error::new(ErrorKind::InvalidOperation, what))
    });
    // Python prints its constants capitalised.
    environment.set_formatter(|out, state, value| {
        if value.is_none() {
            Ok(out.write_str("None")?)
        } else if let Some(flag) = value.is_true_or_false() {
            Ok(out.write_str(if flag { "True" } else { "False" })?)
        } else {
            minijinja::escape_formatter(out, state, value)
        }
    });
    Ok(environment)
}

/// Names for the results of functions inside a template.
mod minijinja_result {
    pub(super) type Value = std::result::Result<minijinja::Value, minijinja::Error>;
    pub(super) type Text = std::result::Result<String, minijinja::Error>;
}

trait TrueOrFalse {
    fn is_true_or_false(&self) -> Option<bool>;
}

impl TrueOrFalse for Value {
    fn is_true_or_false(&self) -> Option<bool> {
        (self.kind() == minijinja::value::ValueKind::Bool).then(|| self.is_true())
    }
}

/// transformers' `tojson`: Python's `json.dumps` with `ensure_ascii=False` by default.
fn tojson(value: &Value, kwargs: Kwargs) -> minijinja_result::Text {
    let separators: Option<Vec<String>> = kwargs.get("separators")?;
    let style = json::Style {
        ensure_ascii: kwargs.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        indent: kwargs.get("indent")?,
        separators: match separators.as_deref() {
            None => None,
            Some([item, key]) => Some((item.clone(), key.clone())),
            Some(_) => {
                return Err(minijinja::Error::new(
                    ErrorKind::InvalidOperation,
                    "tojson: separators must be two texts",
                ));
            }
        },
        sort_keys: kwargs.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
    };
    kwargs.assert_all_used()?;
    json::dumps(value, &style)
}

fn report(error: minijinja::Error) -> Error {
    let mut what = String::new();
    if let Some(line) = error.line() {
        what.push_str(&format!("line {line}: "));
    }
    match (error.kind(), error.detail()) {
        // Most often the template's own words, from raise_exception.
        (ErrorKind::InvalidOperation, Some(detail)) => what.push_str(detail),
        (ErrorKind::OutOfFuel, _) => what.push_str("it runs too long, and was stopped"),
        (kind, Some(detail)) => what.push_str(&format!("{kind}: {detail}")),
        (kind, None) => what.push_str(&kind.to_string()),
    }
    if error.kind() == ErrorKind::WriteFailure {
        what = format!("it writes more than {} MiB, and was stopped", MAX_OUTPUT >> 20);
    }
    Error::ChatTemplate { what: what.split_whitespace().collect::<Vec<_>>().join(" ") }
}

/// A buffer that refuses to grow without end.
struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len().saturating_add(bytes.len()) > MAX_OUTPUT {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
