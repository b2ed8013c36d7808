//! The arguments of `massval data`.

use std::path::PathBuf;

use clap::Args;
use massval::data::catalog::Spec;

#[derive(Debug, Args)]
pub struct Data {
    /// A set with its file and options: capitals, passkey:tokens=512,depths=0,50,100,
    /// gsm8k:test.jsonl, aqua:dev.json:options_in_prompt=false. Without one, all sets are listed
    #[arg(value_name = "SPEC")]
    pub spec: Option<Spec>,
    /// The first N items [default: all; needed where there is no end to them]
    #[arg(long, value_name = "N", requires = "spec", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Seed of the set, unless SPEC says one
    #[arg(long, value_name = "N", requires = "spec")]
    pub seed: Option<u64>,
    /// Whose tokenizer measures prompts and finds the tokens of the evidence: a folder with
    /// tokenizer.json, or a .gguf file
    #[arg(long, value_name = "MODEL", requires = "spec")]
    pub tokenizer: Option<PathBuf>,
    /// Write the items to this file instead of printing them: JSON, one item a line
    #[arg(long, value_name = "FILE", requires = "spec")]
    pub out: Option<PathBuf>,
    /// Print the list, or the set with its items, as one JSON value; with --out, the set alone
    #[arg(long)]
    pub json: bool,
}
