//! Seconds of a training step of a preset, for `scripts/bench_train.py`.

use std::time::Instant;

use burn::tensor::Device;
use massval_train::{TrainConfig, Trainer};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "small".to_owned());
    let steps: usize = arguments.next().map_or(Ok(20), |steps| steps.parse())?;
    let config = TrainConfig::preset(&name).ok_or("no such preset")?;
    let folder = std::env::temp_dir().join(format!("massval-step-time-{}", std::process::id()));
    let mut trainer = Trainer::new(config, &folder, &Device::flex())?;
    for _ in 0..steps {
        let begun = Instant::now();
        let loss = trainer.advance()?;
        println!("{:.6} {loss:.4}", begun.elapsed().as_secs_f64());
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
