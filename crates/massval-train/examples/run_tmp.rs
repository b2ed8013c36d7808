//! tmp
use burn::tensor::Device;
use massval_train::{Event, TrainConfig, Trainer};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let config: TrainConfig =
        serde_json::from_str(&std::fs::read_to_string(&a[1]).unwrap()).unwrap();
    let mut t = Trainer::new(config, a[2].as_ref(), &Device::flex()).unwrap();
    t.run(&mut |e| match e {
        Event::Measured(m) => {
            let top = |s: &str| {
                m.sites.iter().filter(|x| x.site == s).map(|x| x.top_ratio).fold(0.0f32, f32::max)
            };
            let n: Vec<String> = m
                .tasks
                .iter()
                .map(|t| format!("{} {:.2}", t.task, t.correct as f64 / t.items as f64))
                .collect();
            println!(
                "{} loss {:.3} {} | q {:.1} k {:.1} v {:.1} rq {:.1} rk {:.1} act {:.1}",
                m.step,
                m.loss,
                n.join(" "),
                top("q"),
                top("k"),
                top("v"),
                top("rot_q"),
                top("rot_k"),
                m.largest_activation.iter().copied().fold(0.0, f32::max)
            );
        }
        _ => {}
    })
    .unwrap();
}
