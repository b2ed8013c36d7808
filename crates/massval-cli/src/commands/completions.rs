//! `massval completions`.

use clap::CommandFactory;

use crate::args::{Cli, Completions};
use crate::output::{Done, print};

pub fn run(args: Completions) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "massval", &mut script);
    print(&String::from_utf8_lossy(&script).trim_end())
}
