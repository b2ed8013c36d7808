//! P1, appendix, layer-wise emergence: how many massive values each layer has and how strong they
//! are, and the heat maps of the first layers.
//!
//! What to see: massive values of Q and K are there in the first layers already, and in every
//! layer after them; V has next to none.
//!
//! ```text
//! cargo run --bin p1_emergence -- \
//!     models/SmolLM2-135M-Instruct.Q4_1.gguf --text fixtures/text/natural.txt
//! ```

use std::process::ExitCode;

use clap::Parser;
use massval_examples::{FigureArgs, Session, emergence, heatmaps};

/// The paper's layers 1 and 2, which it counts from 1.
const PAPER: [usize; 2] = [0, 1];

/// Massive values by layer, and heat maps of the first layers (P1, layer-wise emergence)
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    figure: FigureArgs,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    massval_examples::run(|| {
        let session = Session::load(&cli.figure)?;
        let layers = session.layers(&PAPER)?;
        let (scan, model) = (session.scan()?, session.model_name());
        session.write(&emergence(&scan, &model)?)?;
        let drawings = heatmaps("p1_emergence", &scan, &model, &layers, None)?;
        drawings.iter().try_for_each(|drawing| session.write(drawing))
    })
}
