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
    assert_eq!(intervals(&svg), result.cells.len());
}

/// Intervals that are drawn: a line and its two ends each.
fn intervals(svg: &str) -> usize {
    svg.matches("stroke=\"#1B1F24\"").count() / 3
}

#[test]
fn answers_have_intervals_and_a_text_says_if_it_has_none() {
    let result = disrupt();
    let arms = result.arms.len();
    for figure in [diversity_bars(&result).unwrap(), perplexity_bars(&result).unwrap()] {
        let svg = figure.to_svg().unwrap();
        assert_eq!(intervals(&svg), arms);
        assert!(svg.contains(", 95 % interval\n") && svg.contains("\nn=25\n"), "{svg}");
    }
    let mut text = perplexity();
    let svg = text_perplexity_bars(&text).unwrap().to_svg().unwrap();
    assert_eq!(intervals(&svg), arms);
    assert!(svg.contains("\n2 windows\n"), "{svg}");
    text.arms.iter_mut().for_each(|arm| arm.interval = None);
    let svg = text_perplexity_bars(&text).unwrap().to_svg().unwrap();
    assert!(svg.contains("\n2 windows: no interval\n") && !svg.contains("95 %"), "{svg}");
}

/// Rows of pixels that hold ink, in units from the middle of the text's place.
#[test]
fn text_of_a_bitmap_stands_in_the_middle_of_its_place() {
    use plotters::backend::RGBPixel;
    let (size, scale) = (100, PNG_SCALE * SMOOTHING);
    let edge = size * scale;
    let mut pixels = vec![0; (edge * edge * 3) as usize];
    let backend =
        BitMapBackend::<RGBPixel>::with_buffer_and_format(&mut pixels, (edge, edge)).unwrap();
    let area = backend.into_drawing_area();
    let canvas = Canvas::new(&area, scale, BITMAP_LOWER).unwrap();
    canvas.text("0", (50.0, 50.0), 40.0, canvas::INK, canvas::Anchor::Middle).unwrap();
    drop(area);
    let inked = |row: &[u8]| row.iter().any(|value| *value < 0x80);
    let rows: Vec<usize> = (pixels.chunks((edge * 3) as usize).enumerate())
        .filter_map(|(i, row)| inked(row).then_some(i))
        .collect();
    let middle = (rows[0] + rows[rows.len() - 1]) as f64 / 2.0 / f64::from(scale);
    assert!((middle - 50.0).abs() < 0.08 * 40.0, "the digit's middle is at {middle}");
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
    let label = "accuracy (%), 95 % interval";
    for text in [
        "bottom",
        "random",
        "massive",
        "none",
        "8",
        "disturbed channels per head",
        "passkey, n=25",
        label,
    ] {
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
