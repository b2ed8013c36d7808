//! Figures are drawn, the same each time, by the same code for both formats.

use super::*;
use crate::testing::scan;

fn panels() -> Vec<NormPanel> {
    let scan = scan();
    ["q", "rot_q"].map(|site| NormPanel::of(site, scan.site(1, site).unwrap())).to_vec()
}

fn options() -> HeatmapOptions {
    let bands = scan().shape.bands().unwrap();
    HeatmapOptions { title: "Q, layer 1".into(), bands, ..HeatmapOptions::default() }
}

fn wave(tokens: usize, channels: usize) -> Vec<f32> {
    (0..tokens * channels).map(|i| ((i % channels) as f32 / 9.0).sin() * 3.0).collect()
}

fn figures() -> Vec<Figure> {
    vec![
        heatmap(panels().remove(0), options()).unwrap(),
        norm_panels(panels(), options()).unwrap(),
        emergence(&scan()).unwrap(),
        surface(&wave(40, 64), 40, 64, SurfaceOptions::default()).unwrap(),
    ]
}

#[test]
fn every_figure_is_the_same_file_each_time() {
    for (first, second) in figures().iter().zip(figures()) {
        let svg = first.to_svg().unwrap();
        assert_eq!(svg, second.to_svg().unwrap());
        assert!(svg.trim_end().ends_with("</svg>"));
        let size = format!("width=\"{}\" height=\"{}\"", first.width, first.height);
        assert!(svg.starts_with("<svg ") && svg.contains(&size), "{}", &svg[..120]);
        assert_eq!(first.to_png().unwrap(), second.to_png().unwrap());
    }
}

#[test]
fn a_png_has_twice_the_size_of_its_svg_and_is_not_blank() {
    for figure in figures() {
        let png = figure.to_png().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let (width, height) = (reader.info().width, reader.info().height);
        assert_eq!((width, height), (2 * figure.width, 2 * figure.height));
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let colours: std::collections::HashSet<&[u8]> = pixels.chunks(3).collect();
        assert!(colours.len() > 10, "{} colours", colours.len());
    }
}

#[test]
fn smoothing_takes_the_mean_of_squares() {
    // Two rows of four pixels become one row of two.
    let row = [0, 0, 0, 4, 8, 12, 100, 100, 100, 100, 100, 100];
    let pixels = [row, row].concat();
    assert_eq!(smaller(&pixels, 4), [2, 4, 6, 100, 100, 100]);
}

#[test]
fn the_heat_map_has_a_cell_for_each_norm() {
    let figure = heatmap(panels().remove(0), HeatmapOptions::default()).unwrap();
    let svg = figure.to_svg().unwrap();
    // The brightest colour once: the largest norm, and the top of the colour bar.
    assert!(svg.matches("<rect").count() > 9 * 64);
    assert!(svg.contains("#FDE725"));
}

#[test]
fn hostile_titles_stay_text() {
    let mut panel = panels().remove(0);
    panel.title = "<script>alert(1)</script>&\u{1b}".into();
    let svg = heatmap(panel, HeatmapOptions::default()).unwrap().to_svg().unwrap();
    assert!(!svg.contains("<script"), "{svg}");
    assert!(!svg.contains('\u{1b}'));
}

#[test]
fn what_cannot_be_drawn_is_an_error() {
    let broken = |change: fn(&mut NormPanel)| {
        let mut panel = panels().remove(0);
        change(&mut panel);
        heatmap(panel, HeatmapOptions::default()).is_err()
    };
    assert!(broken(|panel| panel.norms[3] = f32::NAN));
    assert!(broken(|panel| panel.heads = usize::MAX));
    assert!(broken(|panel| {
        panel.heads = 100_000;
        panel.norms = vec![0.0; 100_000 * panel.head_dim];
    }));
    assert!(norm_panels(Vec::new(), options()).is_err());
    let outside = HeatmapOptions { channels: Some(60..70), ..HeatmapOptions::default() };
    assert!(heatmap(panels().remove(0), outside).is_err());
    assert!(surface(&wave(4, 4), 4, 5, SurfaceOptions::default()).is_err());
    assert!(surface(&[0.0], 1, 1, SurfaceOptions::default()).is_err());
    let mut empty = scan();
    empty.sites.clear();
    assert!(emergence(&empty).is_err());
}

#[test]
fn extreme_values_still_draw() {
    let zeros = NormPanel { norms: vec![0.0; 9 * 64], ..panels().remove(0) };
    heatmap(zeros, HeatmapOptions::default()).unwrap().to_svg().unwrap();
    let huge = NormPanel { norms: vec![f32::MAX; 9 * 64], ..panels().remove(0) };
    heatmap(huge, HeatmapOptions::default()).unwrap().to_png().unwrap();
    surface(&[0.0; 4], 2, 2, SurfaceOptions::default()).unwrap().to_svg().unwrap();
    let large = surface(&wave(1000, 300), 1000, 300, SurfaceOptions::default()).unwrap();
    assert!(large.to_svg().unwrap().contains("(largest of each 8 tokens x 3 channels)"));
}
