//! Standard output, notes and progress; nothing else writes to the terminal.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::problem::{Failure, Problem};

/// Where help shows the flags of every verb: after the verb's own.
const COMMON: &str = "Options of every command";

/// Flags of every verb.
#[derive(Debug, clap::Args)]
pub(super) struct Ui {
    /// Threads of this computer to use (default: all)
    #[arg(long, global = true, value_name = "N", help_heading = COMMON, allow_negative_numbers = true)]
    pub(super) threads: Option<usize>,
    /// No notes, no progress, no tables
    #[arg(short, long, global = true, help_heading = COMMON, conflicts_with = "verbose")]
    quiet: bool,
    /// Everything: all layers, the whole machine
    #[arg(short, long, global = true, help_heading = COMMON)]
    verbose: bool,
    /// When to use colours
    #[arg(long, global = true, help_heading = COMMON, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    color: Color,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Color {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The terminal or pipe that a verb talks to.
#[derive(Debug)]
pub(super) struct Console {
    pub(super) quiet: bool,
    pub(super) verbose: bool,
}

impl Console {
    pub(super) fn new(ui: &Ui) -> Self {
        let choice = match ui.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::AlwaysAnsi,
            Color::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        Console { quiet: ui.quiet, verbose: ui.verbose }
    }

    /// Writes to standard output.
    ///
    /// # Errors
    /// [`Failure::Closed`] where the reader has gone; an input failure otherwise.
    pub(super) fn print(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = anstream::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::Closed,
            _ => Problem::new("cannot write to standard output").because(error.to_string()).into(),
        })
    }

    /// A line on standard error, unless quiet.
    pub(super) fn note(&self, text: &str) {
        if !self.quiet {
            // Where nobody listens there is nobody to tell.
            let _ = writeln!(anstream::stderr(), "note: {text}");
        }
    }

    /// A bar of `steps` steps, on a terminal only.
    pub(super) fn progress(&self, steps: u64) -> Progress {
        let shown = !self.quiet && std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(steps), target);
        if let Ok(style) = ProgressStyle::with_template("{msg:24} [{bar:32}] {pos}/{len}, {elapsed} gone, {eta} left") {
            bar.set_style(style);
        }
        if shown {
            bar.enable_steady_tick(std::time::Duration::from_millis(200));
        }
        Progress { bar, begun: false }
    }
}

/// Text in a column beside `head`, in lines of at most 100 columns, each ended.
pub(super) fn beside(head: &str, text: &str) -> String {
    const COLUMNS: usize = 100;
    let indent = head.chars().count();
    let mut out = head.to_owned();
    let mut column = indent;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > indent && column + 1 + width > COLUMNS {
            out += &format!("\n{}", " ".repeat(indent));
            column = indent;
        }
        if column > indent {
            out.push(' ');
            column += 1;
        }
        out += word;
        column += width;
    }
    out + "\n"
}

/// A bar that moves step by step and vanishes at its end.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    begun: bool,
}

impl Progress {
    /// The next step begins; the one before it is done.
    pub(super) fn step(&mut self, what: &'static str) {
        if self.begun {
            self.bar.inc(1);
        }
        self.begun = true;
        self.bar.set_message(what);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
