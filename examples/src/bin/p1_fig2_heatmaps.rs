//! P1, figure 2, figures 6 and 7 and the heat maps of the appendix: the channel norms `M[h,d]` of
//! K, Q and V in single layers, heads across and channels down.
//!
//! What to see: in a model with RoPE, a few bright rows in K and Q, at the same channels in
//! several heads and in the slow half of the rotary pairs; none in V. The paper finds no such rows
//! in models without RoPE.
//!
//! ```text
//! cargo run --bin p1_fig2_heatmaps -- \
//!     models/SmolLM2-135M-Instruct.Q4_1.gguf --text fixtures/text/natural.txt
//! ```

use std::process::ExitCode;

use clap::Parser;
use massval_examples::{FigureArgs, Session, heatmaps};

/// The paper's layers 10 and 20, which it counts from 1.
const PAPER: [usize; 2] = [9, 19];

/// Heat maps of the channel norms of K, Q and V (P1, figure 2)
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    figure: FigureArgs,
    /// Norm of the brightest colour, to compare layers and models [default: the layer's largest]
    #[arg(long, value_name = "NORM")]
    scale_max: Option<f32>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    massval_examples::run(|| {
        let session = Session::load(&cli.figure)?;
        let layers = session.layers(&PAPER)?;
        let drawings =
            heatmaps("p1_fig2", &session.scan()?, &session.model_name(), &layers, cli.scale_max)?;
        drawings.iter().try_for_each(|drawing| session.write(drawing))
    })
}
