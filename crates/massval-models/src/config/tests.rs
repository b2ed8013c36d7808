//! ALiBi's slopes against the definition.

use super::AlibiConfig;

fn close(slopes: &[f32], powers: &[f64]) -> bool {
    slopes.len() == powers.len()
        && slopes.iter().zip(powers).all(|(s, p)| (f64::from(*s) - 2f64.powf(-p)).abs() < 1e-6)
}

#[test]
fn a_power_of_two_of_heads_has_one_geometric_series() {
    let powers = [2.0, 4.0, 6.0, 8.0];
    assert!(close(&AlibiConfig::from_power_below(4).slopes, &powers));
    assert!(close(&AlibiConfig::from_power_above(4, 8.0).slopes, &powers));
}

#[test]
fn other_numbers_of_heads_are_filled_up_in_two_ways() {
    let below = AlibiConfig::from_power_below(6).slopes;
    assert!(close(&below, &[2.0, 4.0, 6.0, 8.0, 1.0, 3.0]), "{below:?}");
    let above = AlibiConfig::from_power_above(6, 8.0).slopes;
    assert!(close(&above, &[2.0, 4.0, 6.0, 8.0, 1.0, 3.0]), "{above:?}");
    let three = AlibiConfig::from_power_above(3, 8.0).slopes;
    assert!(close(&three, &[4.0, 8.0, 2.0]), "{three:?}");
}
