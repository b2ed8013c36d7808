//! How keys and values of the cache are rounded.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use massval::quant::{Bits, KvAxis, OutlierShare};

/// What is rounded in the KV cache.
#[derive(Debug, Args)]
pub struct KvArgs {
    /// Round the KV cache to 2, 3, 4 or 8 bits: 4, or k8v4, k2 (values as they are), v4. Each gives
    /// an arm
    #[arg(
        help_heading = "What is rounded",
        long = "kv-bits",
        value_name = "BITS",
        value_delimiter = ','
    )]
    pub bits: Vec<KvBits>,
    /// What shares a scale in K: per-channel (tokens of a channel), per-token (channels of a token).
    /// V is always rounded per token
    #[arg(help_heading = "What is rounded", long = "kv-keys", value_name = "HOW", default_value = "per-channel", value_parser = axis, requires = "bits")]
    pub keys: KvAxis,
    /// Round K as it is before RoPE, not as it is cached
    #[arg(help_heading = "What is rounded", long = "kv-before-rope", requires = "bits")]
    pub before_rope: bool,
    /// How many tokens of a channel, or channels of a token, share a scale [default: 32, or the head]
    #[arg(help_heading = "What is rounded", long = "kv-group", value_name = "N", value_parser = clap::value_parser!(u32).range(1..), requires = "bits")]
    pub group: Option<u32>,
    /// The newest N tokens of a sequence stay as they are
    #[arg(
        help_heading = "What is rounded",
        long = "kv-residual",
        value_name = "N",
        default_value_t = 0,
        requires = "bits"
    )]
    pub residual: usize,
    /// The first N tokens of a sequence (attention sinks) stay as they are
    #[arg(
        help_heading = "What is rounded",
        long = "kv-first",
        value_name = "N",
        default_value_t = 0,
        requires = "bits"
    )]
    pub first: usize,
    /// The share of entries furthest from the median of what shares an axis stays as it is: 0.01
    #[arg(help_heading = "What is rounded", long = "kv-outliers", value_name = "SHARE", default_value = "0", value_parser = outliers, requires = "bits")]
    pub outliers: OutlierShare,
    /// Two arms more for each: K's massive channels stay as they are (those in a scan.json, with
    /// their rotary partners), and as many random ones
    #[arg(
        help_heading = "What is rounded",
        long = "kv-protect",
        value_name = "FILE",
        requires = "bits"
    )]
    pub protect: Option<PathBuf>,
}

/// Bits of keys and of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvBits {
    pub keys: Option<Bits>,
    pub values: Option<Bits>,
}

impl FromStr for KvBits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "give 2, 3, 4 or 8, or one for each as in k8v4, k2 or v4".to_owned();
        let bits = |text: &str| {
            let width: u64 = text.parse().map_err(|_| wrong())?;
            Bits::try_from(width).map_err(|_| wrong())
        };
        let Some(rest) = text.strip_prefix('k') else {
            return match text.strip_prefix('v') {
                Some(values) => Ok(Self { keys: None, values: Some(bits(values)?) }),
                None => {
                    let both = Some(bits(text)?);
                    Ok(Self { keys: both, values: both })
                }
            };
        };
        match rest.split_once('v') {
            Some((keys, values)) => {
                Ok(Self { keys: Some(bits(keys)?), values: Some(bits(values)?) })
            }
            None => Ok(Self { keys: Some(bits(rest)?), values: None }),
        }
    }
}

impl std::fmt::Display for KvBits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.keys, self.values) {
            (Some(keys), Some(values)) if keys == values => write!(f, "{keys}"),
            (keys, values) => {
                keys.map_or(Ok(()), |keys| write!(f, "k{keys}"))?;
                values.map_or(Ok(()), |values| write!(f, "v{values}"))
            }
        }
    }
}

fn axis(text: &str) -> Result<KvAxis, String> {
    match text {
        "per-channel" => Ok(KvAxis::PerChannel),
        "per-token" => Ok(KvAxis::PerToken),
        _ => Err("known are per-channel, per-token".to_owned()),
    }
}

fn outliers(text: &str) -> Result<OutlierShare, String> {
    let share = text.parse().map_err(|_| "not a number".to_owned())?;
    OutlierShare::new(share).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_as_people_type_them() {
        for text in ["4", "k8v4", "k2", "v3"] {
            assert_eq!(text.parse::<KvBits>().map(|bits| bits.to_string()).as_deref(), Ok(text));
        }
        assert_eq!("k4v4".parse::<KvBits>(), "4".parse());
        for text in ["", "5", "k", "v", "kv", "v4k8", "k4v", "k16", "-4"] {
            assert!(text.parse::<KvBits>().is_err(), "{text}");
        }
    }
}
