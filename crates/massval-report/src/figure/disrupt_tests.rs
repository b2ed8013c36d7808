//! The figures of the disruption experiment show every arm and task, and say what is missing.

use super::*;
use crate::testing::{disrupt, perplexity};

fn figures() -> Vec<Figure> {
    let result = disrupt();
    vec![
        accuracy_bars(&result).unwrap(),
        diversity_bars(&result).unwrap(),
        perplexity_bars(&result).unwrap(),
        text_perplexity_bars(&perplexity()).unwrap(),
        sweep(&result).unwrap(),
    ]
}

#[test]
fn every_figure_is_the_same_file_each_time() {
    for (first, second) in figures().iter().zip(figures()) {
        let svg = first.to_svg().unwrap();
        assert_eq!(svg, second.to_svg().unwrap());
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("SmolLM2.q4_1.gguf"));
        let png = png::Decoder::new(std::io::Cursor::new(first.to_png().unwrap()));
        let info = png.read_info().unwrap();
        let size = (info.info().width, info.info().height);
        assert_eq!(size, (2 * first.width, 2 * first.height));
    }
}

#[test]
fn accuracies_have_a_bar_an_interval_and_a_name_each() {
    let result = disrupt();
    let svg = accuracy_bars(&result).unwrap().to_svg().unwrap();
    for name in result.arms.iter().map(|arm| &arm.name).chain(result.tasks.iter().map(|t| &t.name))
    {
        assert!(svg.contains(&format!("\n{name}\n")), "{name}");
    }
    assert!(svg.contains("contextual") && svg.contains("parametric"));
    // One bar of the baseline's colour for each task, and its sign in the legend.
    assert_eq!(svg.matches("fill=\"#3A4149\"").count(), result.tasks.len() + 1);
    let ends = svg.matches("stroke=\"#1B1F24\"").count();
    assert_eq!(ends, 3 * result.cells.len());
}

#[test]
fn far_perplexities_are_drawn_on_powers_of_ten() {
    let svg = text_perplexity_bars(&perplexity()).unwrap().to_svg().unwrap();
    for tick in ["1", "10", "100", "1000", "10k"] {
        assert!(svg.contains(&format!("\n{tick}\n")), "{tick}");
    }
}

#[test]
fn the_sweep_has_a_panel_for_each_series_and_a_band_for_each_task() {
    let result = disrupt();
    let svg = sweep(&result).unwrap().to_svg().unwrap();
    assert_eq!(svg.matches("<polygon").count(), 3 * result.tasks.len());
    for text in ["bottom", "random", "massive", "none", "8", "disturbed channels per head"] {
        assert!(svg.contains(&format!("\n{text}\n")), "{text}");
    }
}

#[test]
fn what_was_not_measured_is_an_error() {
    let mut result = disrupt();
    result.cells.iter_mut().for_each(|cell| cell.metrics = Default::default());
    assert!(diversity_bars(&result).is_err() && perplexity_bars(&result).is_err());
    result.arms.iter_mut().for_each(|arm| arm.sweep = None);
    assert!(sweep(&result).unwrap_err().to_string().contains("no arm belongs to a sweep"));
    result.cells.clear();
    assert!(accuracy_bars(&result).is_err());
}

#[test]
fn gaps_and_crowds_still_draw() {
    let mut result = disrupt();
    result.cells.retain(|cell| cell.arm != "massive, k=2");
    sweep(&result).unwrap().to_svg().unwrap();
    accuracy_bars(&result).unwrap().to_svg().unwrap();
    let arm = result.arms[3].clone();
    result.arms.extend(std::iter::repeat_n(arm, 5000));
    assert!(accuracy_bars(&result).is_err(), "too wide to draw");
}
