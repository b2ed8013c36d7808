//! From the options of an intervention to the arms of an experiment.

use std::fmt::Display;

use massval::disruption::{Intervention, Operator, Preset, Selection};
use massval::eval::Arm;
use massval::hooks::Site;
use massval::models::Checkpoint;

use crate::args::InterventionArgs;
use crate::output::Failure;

/// The arms that the options ask for; `usual` are the sizes to take if they name none.
pub fn arms(
    args: &InterventionArgs,
    checkpoint: &Checkpoint,
    usual: &[u16],
) -> Result<Vec<Arm>, Failure> {
    once(&args.sites)?;
    if let Some(preset) = args.preset {
        return Ok(of_preset(args, preset));
    }
    let usual_sites = match checkpoint.config.rope() {
        Some(_) => [Site::RotQ, Site::RotK],
        None => [Site::Q, Site::K],
    };
    let sites = if args.sites.is_empty() { &usual_sites[..] } else { &args.sites };
    let joint = [Operator::JointMean];
    let operators = if args.op.is_empty() { &joint[..] } else { &args.op };
    let sizes = match args.k.is_empty() && args.select.is_empty() && args.findings.is_none() {
        true => usual,
        false => &args.k,
    };
    let mut selections = Vec::new();
    for k in sizes.iter().map(|&k| usize::from(k)) {
        selections.extend([Selection::BottomK { k }, Selection::RandomK { k }, Selection::top(k)]);
    }
    selections.extend(args.select.iter().cloned());
    if let Some(path) = &args.findings {
        selections.push(massval::findings_selection(path, sites, checkpoint)?);
    }
    let base = Intervention {
        partner: args.partner,
        when: args.when,
        cached: !args.keep_cache,
        ..placed(args, Intervention::new(Operator::JointMean, Selection::top(1)).at(sites))
    };
    once(operators)?;
    once(&selections)?;
    let plain = Intervention::new(Operator::JointMean, Selection::top(1));
    let plain = plain.at(&usual_sites).seeded(args.seed);
    if selections.is_empty() && (!args.op.is_empty() || base != plain) {
        let what = "options say how or where channels are disrupted, but none say which; add --k, \
                    --select, --findings or --preset";
        return Err(Failure::Work(what.to_owned()));
    }
    Ok(massval::arms(&base, operators, &selections))
}

/// Refuses a value that is given twice: two arms would be the same.
fn once<T: PartialEq + Display>(values: &[T]) -> Result<(), Failure> {
    let mut seen: Vec<&T> = Vec::new();
    for value in values {
        if seen.contains(&value) {
            return Err(Failure::Work(format!("{value} is asked for twice; leave one out")));
        }
        seen.push(value);
    }
    Ok(())
}

fn of_preset(args: &InterventionArgs, preset: Preset) -> Vec<Arm> {
    let massive = placed(args, preset.intervention());
    let k = massive.selection.k().unwrap_or(1);
    let random = Intervention { selection: Selection::RandomK { k }, ..massive.clone() };
    vec![
        Arm::none(),
        Arm::new("non-massive", placed(args, preset.non_massive())),
        Arm::new("random", random),
        Arm::new(format!("massive ({preset})"), massive),
    ]
}

fn placed(args: &InterventionArgs, intervention: Intervention) -> Intervention {
    Intervention {
        layers: args.layers.clone(),
        heads: args.heads.clone(),
        positions: args.positions.clone(),
        seed: args.seed,
        ..intervention
    }
}
