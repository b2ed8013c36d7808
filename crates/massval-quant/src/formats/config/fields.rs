//! Fields of a JSON object, each asked for by name; those nobody asked for are known.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::{Error, Result};

/// An object, and the path to it.
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    path: String,
    read: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(json: &'a Value, path: &str) -> Result<Self> {
        let object = json.as_object().ok_or_else(|| Error::Config {
            field: path.to_owned(),
            reason: "is no object".to_owned(),
        })?;
        Ok(Self { object, path: path.to_owned(), read: RefCell::default() })
    }

    /// The field; none if it is missing or null.
    pub(super) fn get(&self, name: &'static str) -> Option<&'a Value> {
        self.read.borrow_mut().insert(name);
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// The object in a field; none if it is missing, null or empty.
    pub(super) fn object(&self, name: &'static str) -> Result<Option<Self>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let inner = Self::new(value, &self.name_of(name))?;
        Ok((!inner.object.is_empty()).then_some(inner))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.object.iter()
    }

    pub(super) fn text(&self, name: &'static str) -> Result<Option<&'a str>> {
        self.typed(name, "a string", Value::as_str)
    }

    pub(super) fn flag(&self, name: &'static str) -> Result<Option<bool>> {
        self.typed(name, "true or false", Value::as_bool)
    }

    pub(super) fn integer(&self, name: &'static str) -> Result<Option<i64>> {
        self.typed(name, "an integer", Value::as_i64)
    }

    pub(super) fn number(&self, name: &'static str) -> Result<Option<f64>> {
        self.typed(name, "a number", Value::as_f64)
    }

    pub(super) fn texts(&self, name: &'static str) -> Result<Vec<String>> {
        let texts = |value: &'a Value| -> Option<Vec<String>> {
            value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
        };
        Ok(self.typed(name, "a list of strings", texts)?.unwrap_or_default())
    }

    fn typed<T>(
        &self,
        name: &'static str,
        expected: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let wrong = || self.wrong(name, format!("is {value}, {expected} is expected"));
        read(value).map(Some).ok_or_else(wrong)
    }

    /// Refuses a field that says anything.
    pub(super) fn refuse(&self, name: &'static str, what: &str) -> Result<()> {
        match self.get(name) {
            Some(Value::Object(object)) if object.is_empty() => Ok(()),
            Some(_) => Err(self.wrong(name, format!("asks for {what}, which massval cannot do"))),
            None => Ok(()),
        }
    }

    /// Refuses a field that says `true`.
    pub(super) fn refuse_flag(&self, name: &'static str, what: &str) -> Result<()> {
        match self.flag(name)? {
            Some(true) => {
                Err(self.wrong(name, format!("asks for {what}, which massval cannot do")))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn missing(&self, name: &'static str) -> Error {
        self.wrong(name, "is missing")
    }

    pub(super) fn wrong(&self, name: &str, reason: impl Into<String>) -> Error {
        Error::Config { field: self.name_of(name), reason: reason.into() }
    }

    fn name_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Fields that nobody has asked for and that say something.
    pub(super) fn unread(&self) -> Vec<String> {
        let read = self.read.borrow();
        let unread =
            |(name, value): &(&String, &Value)| !value.is_null() && !read.contains(name.as_str());
        self.object.iter().filter(unread).map(|(name, _)| self.name_of(name)).collect()
    }
}
