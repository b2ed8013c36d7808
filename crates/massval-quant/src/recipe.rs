//! Which linears are quantized how: as massval writes it, and as llm-compressor and GPTQModel read it.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::formats::pattern::exactly;
use crate::{Bits, Error, GroupSize, Result};

/// The only version there is.
const VERSION: u32 = 1;

/// All linears of the blocks to the same bits and groups, but for some.
///
/// ```
/// use massval_quant::{Bits, GroupSize, recipe::{Recipe, Treatment}};
/// let mut recipe = Recipe::new(Bits::Four, Some(GroupSize::new(64)?));
/// recipe.except("model.layers.0.mlp.down_proj", Treatment::Exact);
/// recipe.except("model.layers.3.self_attn.k_proj", Treatment::Bits(Bits::Eight));
/// assert_eq!(recipe.treatment("model.layers.0.mlp.down_proj"), Treatment::Exact);
/// assert_eq!(recipe.treatment("model.layers.1.mlp.down_proj"), Treatment::Bits(Bits::Four));
/// let names = ["model.layers.0.mlp.down_proj"];
/// assert!(recipe.check(&names).unwrap_err().to_string().contains("model.layers.3.self_attn.k_proj"));
/// assert!(recipe.gptqmodel()?.contains(r#""-:^model\\.layers\\.0\\.mlp\\.down_proj$": {}"#));
/// # Ok::<(), massval_quant::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The version of this form.
    pub version: u32,
    /// Bits of a code.
    pub bits: Bits,
    /// Inputs that share a scale; none: a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupSize>,
    /// Zero in the middle of the codes.
    pub symmetric: bool,
    /// The linears that are treated otherwise, by their full names without `.weight`.
    #[serde(default)]
    pub except: Vec<Exception>,
}

/// A linear that is treated otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// Its full name without `.weight`.
    pub linear: String,
    /// How it is treated.
    pub treatment: Treatment,
}

/// What becomes of a linear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Treatment {
    /// It stays as it is.
    Exact,
    /// So many bits.
    Bits(Bits),
}

impl Recipe {
    /// All linears to these bits, symmetric.
    #[must_use]
    pub fn new(bits: Bits, group: Option<GroupSize>) -> Self {
        Self { version: VERSION, bits, group, symmetric: true, except: Vec::new() }
    }

    /// Treats one linear otherwise; what was said of it before is forgotten.
    pub fn except(&mut self, linear: impl Into<String>, treatment: Treatment) {
        let linear = linear.into();
        self.except.retain(|exception| exception.linear != linear);
        self.except.push(Exception { linear, treatment });
    }

    /// What becomes of a linear.
    #[must_use]
    pub fn treatment(&self, linear: &str) -> Treatment {
        let found = self.except.iter().find(|exception| exception.linear == linear);
        found.map_or(Treatment::Bits(self.bits), |exception| exception.treatment)
    }

    /// Reads a recipe in massval's form for a model whose linears have these names.
    ///
    /// # Errors
    /// [`Error::Recipe`] if it is none, or of another version; what [`check`](Self::check) refuses.
    pub fn read(json: &str, linears: &[impl AsRef<str>]) -> Result<Self> {
        let recipe: Self = serde_json::from_str(json)
            .map_err(|error| Error::Recipe { reason: error.to_string() })?;
        if recipe.version != VERSION {
            let reason =
                format!("it is of version {}; this massval reads {VERSION}", recipe.version);
            return Err(Error::Recipe { reason });
        }
        recipe.check(linears)?;
        Ok(recipe)
    }

    /// Checks that every linear it names is one of these, and is named once.
    ///
    /// # Errors
    /// [`Error::NoSuchLinear`] with the first that is not; [`Error::Recipe`] for one that is named twice.
    pub fn check(&self, linears: &[impl AsRef<str>]) -> Result<()> {
        for (at, Exception { linear, .. }) in self.except.iter().enumerate() {
            if !linears.iter().any(|known| known.as_ref() == linear) {
                let example = linears.first().map_or("none", |name| name.as_ref()).to_owned();
                return Err(Error::NoSuchLinear { linear: linear.clone(), example });
            }
            if self.except.iter().take(at).any(|other| other.linear == *linear) {
                return Err(Error::Recipe { reason: format!("it names {linear} twice") });
            }
        }
        Ok(())
    }

    /// The recipe in massval's form.
    ///
    /// # Errors
    /// None in practice.
    pub fn json(&self) -> Result<String> {
        pretty(self)
    }

    /// As llm-compressor reads it: YAML with a `QuantizationModifier`, rounding to nearest; its GPTQ and AWQ
    /// modifiers take the same fields.
    #[must_use]
    pub fn llm_compressor(&self) -> String {
        let mut out = String::from("quant_stage:\n  quant_modifiers:\n    QuantizationModifier:\n");
        let mut exact = vec!["lm_head".to_owned()];
        exact.extend(self.named(Treatment::Exact).map(pattern));
        let _ = writeln!(out, "      ignore: {}", yaml_list(&exact));
        out += "      config_groups:\n";
        let all = vec!["Linear".to_owned()];
        let _ = write!(out, "{}", self.config_group(0, &all, self.bits));
        for (at, bits) in Bits::ALL.into_iter().filter(|&bits| bits != self.bits).enumerate() {
            let named: Vec<String> = self.named(Treatment::Bits(bits)).map(pattern).collect();
            if !named.is_empty() {
                let _ = write!(out, "{}", self.config_group(at + 1, &named, bits));
            }
        }
        out
    }

    fn config_group(&self, number: usize, targets: &[String], bits: Bits) -> String {
        let strategy = match self.group {
            Some(group) => {
                format!("          strategy: group\n          group_size: {}\n", group.get())
            }
            None => "          strategy: channel\n".to_owned(),
        };
        format!(
            "        group_{number}:\n          targets: {}\n          weights:\n            num_bits: {bits}\n\
             \x20           type: int\n            symmetric: {}\n{}",
            yaml_list(targets),
            self.symmetric,
            strategy.replace("          ", "            "),
        )
    }

    /// As GPTQModel reads it: the fields of its `QuantizeConfig`, `dynamic` among them. A rule `-:` leaves a module
    /// as it is, `+:` gives it other bits.
    ///
    /// # Errors
    /// None in practice.
    pub fn gptqmodel(&self) -> Result<String> {
        #[derive(Serialize)]
        struct Config<'a> {
            bits: Bits,
            group_size: i64,
            sym: bool,
            dynamic: &'a serde_json::Map<String, serde_json::Value>,
        }
        let mut dynamic = serde_json::Map::new();
        for Exception { linear, treatment } in &self.except {
            let pattern = exactly(linear);
            match treatment {
                Treatment::Exact => dynamic.insert(format!("-:{pattern}"), serde_json::json!({})),
                Treatment::Bits(bits) => {
                    dynamic.insert(format!("+:{pattern}"), serde_json::json!({ "bits": bits }))
                }
            };
        }
        let group_size = self.group.and_then(|g| i64::try_from(g.get()).ok()).unwrap_or(-1);
        let (bits, sym) = (self.bits, self.symmetric);
        pretty(&Config { bits, group_size, sym, dynamic: &dynamic })
    }

    fn named(&self, treatment: Treatment) -> impl Iterator<Item = &str> {
        let named = self.except.iter().filter(move |exception| exception.treatment == treatment);
        named.map(|exception| exception.linear.as_str())
    }
}

fn pretty(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value);
    text.map_err(|error| Error::Recipe { reason: error.to_string() })
}

/// llm-compressor's way to name modules by a regular expression.
fn pattern(name: &str) -> String {
    format!("re:{}", exactly(name))
}

/// A list of strings in single quotes, in which YAML knows no escape but the doubled quote.
fn yaml_list(items: &[String]) -> String {
    let quoted: Vec<String> =
        items.iter().map(|item| format!("'{}'", item.replace('\'', "''"))).collect();
    format!("[{}]", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] =
        ["model.layers.0.mlp.up_proj", "model.layers.1.mlp.up_proj", "model.layers.10.mlp.up_proj"];

    fn recipe() -> Result<Recipe> {
        let mut recipe = Recipe::new(Bits::Four, Some(GroupSize::new(32)?));
        recipe.except(NAMES[0], Treatment::Exact);
        recipe.except(NAMES[1], Treatment::Bits(Bits::Eight));
        Ok(recipe)
    }

    #[test]
    fn what_is_written_is_read_back() -> Result<()> {
        let recipe = recipe()?;
        assert_eq!(Recipe::read(&recipe.json()?, &NAMES)?, recipe);
        Ok(())
    }

    #[test]
    fn a_linear_that_is_not_there_is_an_error() -> Result<()> {
        let json = recipe()?.json()?;
        let error = Recipe::read(&json, &NAMES[1..]).expect_err("the first is gone");
        assert!(error.to_string().contains(NAMES[0]), "{error}");
        let nothing: [&str; 0] = [];
        assert!(Recipe::read(&json, &nothing).is_err());
        for (from, to) in [
            ("\"version\": 1", "\"version\": 2"),
            ("\"bits\": 4", "\"bits\": 5"),
            ("except", "but"),
        ] {
            assert!(Recipe::read(&json.replacen(from, to, 1), &NAMES).is_err(), "{to}");
        }
        let twice = json.replace(NAMES[1], NAMES[0]);
        assert!(Recipe::read(&twice, &NAMES).expect_err("twice").to_string().contains("twice"));
        Ok(())
    }

    #[test]
    fn other_tools_get_rules_that_match_one_linear() -> Result<()> {
        let yaml = recipe()?.llm_compressor();
        assert_eq!(
            yaml,
            "quant_stage:\n  quant_modifiers:\n    QuantizationModifier:\n      \
             ignore: ['lm_head', 're:^model\\.layers\\.0\\.mlp\\.up_proj$']\n      config_groups:\n        \
             group_0:\n          targets: ['Linear']\n          weights:\n            num_bits: 4\n            \
             type: int\n            symmetric: true\n            strategy: group\n            group_size: 32\n        \
             group_3:\n          targets: ['re:^model\\.layers\\.1\\.mlp\\.up_proj$']\n          weights:\n            \
             num_bits: 8\n            type: int\n            symmetric: true\n            strategy: group\n            \
             group_size: 32\n"
        );
        let dynamic: serde_json::Value =
            serde_json::from_str(&recipe()?.gptqmodel()?).expect("JSON");
        assert_eq!(
            dynamic,
            serde_json::json!({
                "bits": 4, "group_size": 32, "sym": true,
                "dynamic": {
                    "-:^model\\.layers\\.0\\.mlp\\.up_proj$": {},
                    "+:^model\\.layers\\.1\\.mlp\\.up_proj$": { "bits": 8 },
                },
            })
        );
        Ok(())
    }
}
