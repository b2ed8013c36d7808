//! The colours of arms and tasks: told apart by lightness, too, for the colour-blind.

use plotters::style::RGBColor;

use crate::schema::{ArmRole, TaskSide};

/// Contextual tasks are warm, parametric ones cool.
const CONTEXTUAL: [RGBColor; 6] = [
    RGBColor(0xb5, 0x65, 0x1d),
    RGBColor(0xdb, 0xa5, 0x2e),
    RGBColor(0x7d, 0x2a, 0x1c),
    RGBColor(0xe2, 0x8b, 0x70),
    RGBColor(0x66, 0x50, 0x12),
    RGBColor(0xc4, 0x4b, 0x78),
];
const PARAMETRIC: [RGBColor; 6] = [
    RGBColor(0x3b, 0x6f, 0xb6),
    RGBColor(0x2f, 0x9e, 0x95),
    RGBColor(0x8a, 0x63, 0xa8),
    RGBColor(0x1c, 0x3d, 0x70),
    RGBColor(0x7c, 0xb4, 0xd8),
    RGBColor(0x4c, 0x7a, 0x3d),
];

/// How pale the first of several arms of one role is.
const PALEST: f64 = 0.55;

/// The colour of arm `index` of `count` with the same role: the later the darker. The hues are
/// those of the page.
pub(super) fn arm(role: ArmRole, index: usize, count: usize) -> RGBColor {
    let RGBColor(r, g, b) = match role {
        ArmRole::None => RGBColor(0x3a, 0x41, 0x49),
        ArmRole::Massive => RGBColor(0xb5, 0x65, 0x1d),
        ArmRole::Bottom => RGBColor(0x3b, 0x6f, 0xb6),
        ArmRole::Random => RGBColor(0x2f, 0x9e, 0x95),
        ArmRole::Other => RGBColor(0x8a, 0x63, 0xa8),
    };
    let last = count.saturating_sub(1);
    let pale = PALEST * last.saturating_sub(index) as f64 / last.max(1) as f64;
    let mix = |x: u8| (f64::from(x) + (255.0 - f64::from(x)) * pale).round() as u8;
    RGBColor(mix(r), mix(g), mix(b))
}

/// The colour of task `index` of its side.
pub(super) fn task(side: TaskSide, index: usize) -> RGBColor {
    let hues = match side {
        TaskSide::Contextual => &CONTEXTUAL,
        TaskSide::Parametric => &PARAMETRIC,
    };
    hues[index % hues.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_of_one_role_darken_to_its_hue() {
        let hue = arm(ArmRole::Massive, 0, 1);
        assert_eq!(arm(ArmRole::Massive, 2, 3), hue);
        let light = |RGBColor(r, g, b)| u32::from(r) + u32::from(g) + u32::from(b);
        assert!(light(arm(ArmRole::Massive, 0, 3)) > light(arm(ArmRole::Massive, 1, 3)));
        assert!(light(arm(ArmRole::Massive, 1, 3)) > light(hue));
    }

    #[test]
    fn every_task_has_a_colour() {
        assert_eq!(task(TaskSide::Parametric, 6), task(TaskSide::Parametric, 0));
        assert_ne!(task(TaskSide::Parametric, 0), task(TaskSide::Contextual, 0));
    }
}
