//! What goes to standard output, and how a failure ends the program.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::iter;
use std::process::ExitCode;

use massval::report::table::TableStyle;

/// The result of a command.
pub type Done = Result<(), Failure>;

/// Why a command failed. Wrong usage is clap's to report, with exit code 2.
#[derive(Debug)]
pub enum Failure {
    /// The work failed: exit code 1.
    Work(String),
    /// Whoever read our output has seen enough: exit code 0, as `head` expects.
    Closed,
}

impl Failure {
    /// One line on standard error, and the exit code.
    pub fn report(self) -> ExitCode {
        let line = match self {
            Self::Closed => return ExitCode::SUCCESS,
            Self::Work(line) => line,
        };
        // Standard error may be closed, too: then there is nobody to tell.
        let _ = writeln!(io::stderr(), "massval: {}", one_line(&line));
        ExitCode::FAILURE
    }
}

impl<E: std::error::Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let causes = iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
        let mut causes = causes.filter_map(|cause| cause.downcast_ref::<io::Error>());
        Self::Work(match causes.any(|cause| cause.kind() == io::ErrorKind::StorageFull) {
            true => format!("{error}; make room and try again, with --resume where there is one"),
            false => error.to_string(),
        })
    }
}

/// Control characters of a file's name or a tensor's must not reach a terminal.
pub fn one_line(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(plain).collect()
}

/// Prints to standard output.
pub fn print(text: &dyn fmt::Display) -> Done {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::Closed),
        Err(error) => Err(Failure::Work(format!("standard output: {error}"))),
    }
}

/// Prints a value as JSON.
pub fn print_json(value: &impl serde::Serialize) -> Done {
    let text = serde_json::to_string_pretty(value)?;
    print(&text)
}

/// Tells a person something on standard error.
pub fn tell(text: &dyn fmt::Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A count with a decimal prefix: `538.1 MB`.
pub fn amount(count: u64, unit: &str) -> String {
    let (divisor, prefix) = match count {
        0..1_000 => return format!("{count} {unit}"),
        1_000..1_000_000 => (1e3, "k"),
        1_000_000..1_000_000_000 => (1e6, "M"),
        _ => (1e9, "G"),
    };
    format!("{:.1} {prefix}{unit}", count as f64 / divisor)
}

/// A rough time: `20 s`, `12 min`, `30 h`, `9 days`.
pub fn duration(seconds: f64) -> String {
    let (amount, unit) = match seconds {
        ..120.0 => (seconds.max(1.0), "s"),
        ..7_200.0 => (seconds / 60.0, "min"),
        ..172_800.0 => (seconds / 3_600.0, "h"),
        _ => (seconds / 86_400.0, "days"),
    };
    format!("{amount:.0} {unit}")
}

/// A count of things: `1 token`, `2 tokens`.
pub fn plural(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// `text` broken at spaces to fit the terminal, its further lines indented like its first, which
/// stands at column `indent` already.
pub fn wrap(text: &str, indent: usize) -> String {
    let (width, mut out, mut column) = (width(), String::new(), indent);
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > indent && column + 1 + length > width {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if column > indent {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out
}

/// Columns of the terminal; 80 where there is none.
pub fn width() -> usize {
    match terminal_size::terminal_size() {
        Some((terminal_size::Width(columns), _)) => usize::from(columns).clamp(40, 200),
        None => 80,
    }
}

/// Box-drawing lines on a terminal that can be expected to know them.
pub fn style() -> TableStyle {
    let utf8 = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .is_some_and(|value| value.to_lowercase().replace('-', "").contains("utf8"));
    if utf8 || !io::stdout().is_terminal() { TableStyle::Unicode } else { TableStyle::Ascii }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_says_what_to_do() {
        let told = |kind: io::ErrorKind| {
            let error = massval::Error::Io { path: "out/log".into(), source: kind.into() };
            match Failure::from(error) {
                Failure::Work(line) => line,
                Failure::Closed => String::new(),
            }
        };
        assert!(told(io::ErrorKind::StorageFull).ends_with("--resume where there is one"));
        assert!(!told(io::ErrorKind::NotFound).contains("--resume"));
    }
}
