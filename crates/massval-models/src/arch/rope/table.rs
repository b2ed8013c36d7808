//! One table of rotary parameters in a config: its fields, and which of them were read.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::arch::fields::Fields;
use crate::{Error, Result};

/// `rope_parameters`, `rope_scaling`, or the part of one that is for one kind of layer.
pub(super) struct Table<'a> {
    fields: &'a Fields<'a>,
    name: String,
    map: &'a Map<String, Value>,
    read: RefCell<BTreeSet<String>>,
}

impl<'a> Table<'a> {
    /// The table of that name at the top of the config; an empty one counts as absent.
    pub(super) fn open(fields: &'a Fields<'a>, name: &str) -> Result<Option<Self>> {
        match fields.get(name) {
            None => Ok(None),
            Some(Value::Object(map)) if map.is_empty() => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Self::new(fields, name.to_owned(), map))),
            Some(_) => Err(fields.error(name, "is not an object")),
        }
    }

    fn new(fields: &'a Fields<'a>, name: String, map: &'a Map<String, Value>) -> Self {
        Self { fields, name, map, read: RefCell::default() }
    }

    /// A table within this one.
    pub(super) fn inner(&self, key: &str) -> Result<Option<Self>> {
        match self.get(key) {
            None if self.map.contains_key(key) => {
                Err(self.error(key, "null: layers without positions are not supported"))
            }
            None => Ok(None),
            Some(Value::Object(map)) => {
                Ok(Some(Self::new(self.fields, format!("{}.{key}", self.name), map)))
            }
            Some(_) => Err(self.error(key, "is not an object")),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn error(&self, key: &str, what: impl Into<String>) -> Error {
        self.fields.error(&format!("{}.{key}", self.name), what)
    }

    /// The names of the tables within this one.
    pub(super) fn tables(&self) -> Vec<&'a str> {
        self.map.iter().filter(|(_, v)| v.is_object()).map(|(key, _)| key.as_str()).collect()
    }

    /// The field's value; `null` counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.read.borrow_mut().insert(key.to_owned());
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(value) => Err(self.error(key, format!("{value} is not a string"))),
        }
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(value) => Err(self.error(key, format!("{value} is not true or false"))),
        }
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<f64>> {
        self.get(key).map(|value| self.finite(key, value)).transpose()
    }

    pub(super) fn positive(&self, key: &str) -> Result<Option<f64>> {
        match self.number(key)? {
            Some(x) if x <= 0.0 => Err(self.error(key, format!("{x} is not positive"))),
            number => Ok(number),
        }
    }

    pub(super) fn needed(&self, key: &str) -> Result<f64> {
        self.positive(key)?.ok_or_else(|| self.error(key, "missing; a positive number is needed"))
    }

    /// A number of positions, 1 to 2^31; some configs write it as `8192.0`.
    pub(super) fn count(&self, key: &str) -> Result<Option<usize>> {
        match self.number(key)? {
            None => Ok(None),
            Some(x) if x.fract() == 0.0 && (1.0..=2_147_483_648.0).contains(&x) => {
                Ok(Some(x as usize))
            }
            Some(x) => Err(self.error(key, format!("{x} is not a size (1 to 2^31)"))),
        }
    }

    /// One positive number for each of `len` pairs.
    pub(super) fn factors(&self, key: &str, len: usize) -> Result<Vec<f64>> {
        let missing = || format!("missing; a list of {len} positive numbers is needed");
        let list = match self.get(key) {
            Some(Value::Array(list)) if list.len() == len => list,
            Some(Value::Array(list)) => {
                let what = format!("{} factors for {len} rotary pairs", list.len());
                return Err(self.error(key, what));
            }
            Some(_) => return Err(self.error(key, "is not a list of numbers")),
            None => return Err(self.error(key, missing())),
        };
        let mut factors = Vec::with_capacity(len);
        for value in list {
            match self.finite(key, value)? {
                x if x > 0.0 => factors.push(x),
                x => return Err(self.error(key, format!("{x} is not positive"))),
            }
        }
        Ok(factors)
    }

    fn finite(&self, key: &str, value: &Value) -> Result<f64> {
        match value.as_f64() {
            Some(x) if x.is_finite() => Ok(x),
            _ => Err(self.error(key, format!("{value} is not a number"))),
        }
    }

    /// After everything was read: refuses what is left.
    pub(super) fn finish(&self, of: &str) -> Result<()> {
        let read = self.read.borrow();
        match self.map.iter().find(|(key, value)| !value.is_null() && !read.contains(*key)) {
            None => Ok(()),
            Some((key, _)) => Err(self.error(key, format!("is not a field of {of}"))),
        }
    }
}
