//! P1, appendix, the key-cache surfaces: `|K|` of single heads over tokens and channels, after
//! RoPE, as it lies in the cache. In a model without RoPE, the keys as projected.
//!
//! What to see: ridges along the tokens. The massive channels are large at every token, not at a
//! few; in the slow pairs as an even ridge, in faster ones as a wave of the pair's period.
//!
//! ```text
//! cargo run --bin p1_key_cache_surface -- \
//!     models/SmolLM2-135M-Instruct.Q4_1.gguf --text fixtures/text/natural.txt --heads 0,2
//! ```

use std::process::ExitCode;

use clap::Parser;
use massval_examples::{FigureArgs, Session, key_cache_surfaces};

/// The paper's layer 10, which it counts from 1.
const PAPER: [usize; 1] = [9];

/// Absolute values of the key cache over tokens and channels (P1, appendix)
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    figure: FigureArgs,
    /// Key heads to draw, counted from 0, separated by commas
    #[arg(long, value_name = "HEADS", value_delimiter = ',', default_value = "0")]
    heads: Vec<usize>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    massval_examples::run(|| {
        let session = Session::load(&cli.figure)?;
        let layers = session.layers(&PAPER)?;
        for cache in session.key_caches(&layers)? {
            let drawings = key_cache_surfaces(&cache, &session.model_name(), &cli.heads)?;
            drawings.iter().try_for_each(|drawing| session.write(drawing))?;
        }
        Ok(())
    })
}
