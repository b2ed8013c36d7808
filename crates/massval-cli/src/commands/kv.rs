//! From the options of the cache to the arms of an experiment.

use massval::eval::{Arm, KvRounding};
use massval::models::Checkpoint;
use massval::quant::{Bits, KvAxis, KvScheme};

use crate::args::{KvArgs, KvBits};
use crate::output::Failure;

/// Tokens or channels that share a scale, where nothing else is said and as many are there: KIVI's.
const GROUP: usize = 32;

/// The arms that the options ask for; none without them.
pub fn kv_arms(args: &KvArgs, checkpoint: &Checkpoint, seed: u64) -> Result<Vec<Arm>, Failure> {
    let kept = match &args.protect {
        Some(path) => massval::kept_key_channels(path, checkpoint, seed)?.to_vec(),
        None => Vec::new(),
    };
    let mut arms: Vec<Arm> = Vec::new();
    for &bits in &args.bits {
        let rounding = rounding(args, bits, checkpoint.config.head_dim)?;
        let name = format!("kv:{bits}");
        if arms.iter().any(|arm| arm.name == name) {
            return Err(Failure::Work(format!(
                "--kv-bits {bits} is asked for twice; leave one out"
            )));
        }
        if rounding.keys.is_none() && args.protect.is_some() {
            let what =
                format!("--kv-protect keeps channels of K, but --kv-bits {bits} leaves K alone");
            return Err(Failure::Work(what));
        }
        arms.push(Arm::rounded(&name, rounding.clone()));
        for kept in &kept {
            let with = KvRounding { kept: Some(kept.clone()), ..rounding.clone() };
            arms.push(Arm::rounded(format!("{name} {}", kept.what), with));
        }
    }
    Ok(arms)
}

fn rounding(args: &KvArgs, bits: KvBits, head_dim: usize) -> Result<KvRounding, Failure> {
    let scheme = |bits: Bits, axis| -> Result<KvScheme, Failure> {
        let group = match (args.group, axis) {
            (Some(group), _) => group as usize,
            (None, KvAxis::PerToken) if !head_dim.is_multiple_of(GROUP) => head_dim,
            (None, _) => GROUP,
        };
        Ok(KvScheme {
            residual: args.residual,
            first_tokens: args.first,
            outliers: args.outliers,
            ..KvScheme::new(bits, axis).groups(group)?
        })
    };
    Ok(KvRounding {
        keys: bits.keys.map(|bits| scheme(bits, args.keys)).transpose()?,
        values: bits.values.map(|bits| scheme(bits, KvAxis::PerToken)).transpose()?,
        before_rope: args.before_rope && bits.keys.is_some(),
        kept: None,
    })
}
