//! What a verb may fail with, and how people see it: one block a problem, as a compiler shows it, and the exit code of the whole.
//!
//! Problems carry text only; the typed errors that they come from stay in the crates.

use std::fmt::Write;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Message, place, cause, remedy; shown as a block.
    Block {
        /// What is wrong.
        message: String,
        /// File, node or option; may be empty.
        place: String,
        /// Why; may be empty.
        cause: String,
        /// What to do; may be empty.
        help: String,
    },
    /// A block that a crate has already laid out, with its source line.
    Rendered(String),
}

impl Problem {
    /// A problem of which only the message is known so far.
    pub fn new(message: impl Into<String>) -> Self {
        Problem::Block { message: message.into(), place: String::new(), cause: String::new(), help: String::new() }
    }

    /// Says where. No effect on a rendered block.
    #[must_use]
    pub fn at(mut self, text: impl Into<String>) -> Self {
        if let Problem::Block { place, .. } = &mut self {
            *place = text.into();
        }
        self
    }

    /// Says why. No effect on a rendered block.
    #[must_use]
    pub fn because(mut self, text: impl Into<String>) -> Self {
        if let Problem::Block { cause, .. } = &mut self {
            *cause = text.into();
        }
        self
    }

    /// Says what to do. No effect on a rendered block.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        if let Problem::Block { help, .. } = &mut self {
            *help = text.into();
        }
        self
    }

    /// What is wrong, without the rest; the whole of a rendered block.
    pub fn message(&self) -> &str {
        match self {
            Problem::Block { message, .. } | Problem::Rendered(message) => message,
        }
    }

    /// The block, ending with a newline; `error` is the word at its head, coloured or not.
    fn render(&self, error: &str) -> String {
        let Problem::Block { message, place, cause, help } = self else {
            return match self {
                Problem::Rendered(text) => format!("{}\n", text.trim_end()),
                Problem::Block { .. } => String::new(),
            };
        };
        let mut out = format!("{error}: {message}\n");
        for (head, text) in [(" --> ", place), ("  = note: ", cause), ("  = help: ", help)] {
            if !text.is_empty() {
                // Writing to a string cannot fail.
                let _ = writeln!(out, "{head}{text}");
            }
        }
        out
    }
}

/// Why a verb did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A check failed: exit code 1.
    Check(Vec<Problem>),
    /// Bad input or usage: exit code 2.
    Input(Vec<Problem>),
    /// Deadlock, trap or other failure of the simulated program: exit code 3.
    Program(Vec<Problem>),
    /// Nobody reads standard output any more: exit code 0, in silence.
    Closed,
}

impl Failure {
    /// All that is wrong.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Failure::Closed => &[],
            Failure::Check(problems) | Failure::Input(problems) | Failure::Program(problems) => problems,
        }
    }

    /// The exit code of the interface.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Closed => 0,
            Failure::Check(_) => 1,
            Failure::Input(_) => 2,
            Failure::Program(_) => 3,
        }
    }

    /// All blocks, an empty line between them, with ANSI colours.
    pub fn render(&self) -> String {
        let problems: &[Problem] = match self {
            Failure::Check(problems) | Failure::Input(problems) | Failure::Program(problems) => problems,
            Failure::Closed => &[],
        };
        let blocks: Vec<String> = problems.iter().map(|problem| problem.render("\x1b[1;31merror\x1b[0m")).collect();
        blocks.join("\n")
    }
}

impl From<Problem> for Failure {
    /// Most problems are bad input.
    fn from(problem: Problem) -> Self {
        Failure::Input(vec![problem])
    }
}

/// The option or verb exists in the interface and is not built: refused by name, never ignored.
pub fn not_available(what: &str) -> Failure {
    Problem::new(format!("{what} is not available in this version"))
        .help("`systole --help` lists what is; leave it out, or use a later version")
        .into()
}

/// The candidate that `word` was probably meant to be, for a help line: "did you mean `x`?", else the list, cut where it is long.
pub fn did_you_mean(word: &str, candidates: &[&str]) -> String {
    /// Below this Jaro-Winkler similarity names have little in common.
    const NEAR: f64 = 0.8;
    let similarity = |candidate: &&str| strsim::jaro_winkler(word, candidate);
    /// Names listed at most: beyond that a list is no help.
    const LISTED: usize = 12;
    let mut names: Vec<&str> = vec![];
    candidates.iter().for_each(|name| {
        if !names.contains(name) {
            names.push(name)
        }
    });
    let mut near: Vec<&str> = names.iter().copied().filter(|candidate| similarity(candidate) >= NEAR).collect();
    near.sort_by(|a, b| similarity(b).total_cmp(&similarity(a)));
    let quoted = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if near.is_empty() {
        let rest = names.len().saturating_sub(LISTED);
        let more = if rest == 0 { String::new() } else { format!(" and {rest} more") };
        return format!("known names: {}{more}", quoted(&names[..names.len() - rest]));
    }
    near.truncate(3);
    format!("did you mean {}?", quoted(&near).replace(", ", " or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_first_and_far_words_get_the_list() {
        let names = ["resnet-18", "resnet-50", "vgg-d"];
        assert_eq!(did_you_mean("resnet50", &names), "did you mean `resnet-50` or `resnet-18`?");
        assert_eq!(did_you_mean("qqq", &names), "known names: `resnet-18`, `resnet-50`, `vgg-d`");
        assert_eq!(did_you_mean("qqq", &["x", "x"]), "known names: `x`");
        let many: Vec<String> = (0..14).map(|k| format!("n{k}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(did_you_mean("qqq", &many).ends_with("`n10`, `n11` and 2 more"));
    }

    #[test]
    fn blocks_hold_what_is_known_and_no_more() {
        let failure =
            Failure::Check(vec![Problem::new("it differs").at("layer `a`"), Problem::new("so does this").help("look")]);
        let text = failure.render().replace("\x1b[1;31m", "").replace("\x1b[0m", "");
        assert_eq!(text, "error: it differs\n --> layer `a`\n\nerror: so does this\n  = help: look\n");
        assert_eq!(failure.exit_code(), 1);
    }
}
