//! P1, appendix, before against after RoPE: the channel norms of Q and of K on both sides of the
//! rotation, on one colour scale.
//!
//! What to see: RoPE moves norm between the two channels of a pair, `j` and `j + D/2`, and most in
//! the pairs that turn fast; the slow pairs, where massive values sit, hardly change. So RoPE does
//! not create the rows, it leaves them where they are.
//!
//! Each pair's energy `M_j^2 + M_{j+D/2}^2` cannot change; the largest relative difference found is
//! printed, and is rounding. The files that accompany the paper cannot show any of this: its
//! "before" and "after" drawings of Llama-3 hold identical data, cell by cell, which no rotation
//! by a token's position can give in the fast pairs.
//!
//! ```text
//! cargo run --bin p1_before_after_rope -- \
//!     models/SmolLM2-135M-Instruct.Q4_1.gguf --text fixtures/text/natural.txt
//! ```

use std::process::ExitCode;

use clap::Parser;
use massval_examples::{FigureArgs, Session, before_after_rope, largest_pair_energy_change};

/// The paper's layers 1 and 10, which it counts from 1.
const PAPER: [usize; 2] = [0, 9];

/// Channel norms of Q and K before and after RoPE (P1, appendix)
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
        let scan = session.scan()?;
        let change = largest_pair_energy_change(&scan)?;
        for drawing in before_after_rope(&scan, &session.model_name(), &layers)? {
            session.write(&drawing)?;
        }
        println!(
            "largest relative difference of a pair's energy before and after RoPE, all layers: \
             {:.1e} ({}, layer {}, head {}, pair {})",
            change.relative, change.site, change.layer, change.head, change.pair
        );
        Ok(())
    })
}
