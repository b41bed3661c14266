//! One man page. clap_mangen knows how arguments look in roff; the sections that it does not
//! know are ours: examples, exit codes, files, and where to read on.

use std::io;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

use super::{examples, shown};

/// [`Failure::code`](crate::failure::Failure::code) gives them; 2 is clap's.
const EXIT_CODES: [(&str, &str); 6] = [
    ("0", "All is well."),
    ("1", "It failed, or something is not as it should be."),
    ("2", "The command was not understood."),
    ("3", "The daemon cannot be reached."),
    (
        "4",
        "Not permitted: be root, or a member of the group pathweave to read.",
    ),
    ("5", "The fleet file, or the key, is not valid."),
];

const FILES: [(&str, &str); 3] = [
    (
        "/etc/pathweave/pathweave.toml",
        "The fleet file, the same at every site: pathweave.toml(5).",
    ),
    (
        "/etc/pathweave/private.key",
        "This site's private key; only its owner may read it.",
    ),
    (
        "/run/pathweave/pathweave.sock",
        "The daemon's control socket.",
    ),
];

pub(super) struct Page<'a> {
    pub(super) command: &'a Command,
    /// The command that this one belongs to.
    pub(super) above: Option<&'a Command>,
}

impl Page<'_> {
    pub(super) fn file(&self) -> String {
        format!("{}.1", display_name(self.command))
    }

    pub(super) fn render(&self, date: &str) -> io::Result<String> {
        let version = self
            .command
            .get_version()
            .unwrap_or(env!("CARGO_PKG_VERSION"));
        let man = Man::new(self.command.clone())
            .title(display_name(self.command).to_uppercase())
            .date(date)
            .source(format!("pathweave {version}"))
            .manual("pathweave manual");
        let mut text = Vec::new();
        man.render_title(&mut text)?;
        man.render_name_section(&mut text)?;
        man.render_synopsis_section(&mut text)?;
        man.render_description_section(&mut text)?;
        man.render_options_section(&mut text)?;
        if shown(self.command).next().is_some() {
            man.render_subcommands_section(&mut text)?;
        }
        let mut ours = Roff::new();
        table(&mut ours, "EXIT STATUS", &EXIT_CODES);
        table(&mut ours, "FILES", &FILES);
        self.examples(&mut ours);
        self.see_also(&mut ours);
        ours.to_writer(&mut text)?;
        Ok(without_empty_breaks(&String::from_utf8_lossy(&text)))
    }

    fn examples(&self, page: &mut Roff) {
        let command = self.command;
        let typed = command.get_bin_name().unwrap_or(command.get_name());
        let Some(examples) = examples::of(typed) else {
            return;
        };
        page.control("SH", ["EXAMPLES"]);
        for (nth, (purpose, lines)) in examples.iter().enumerate() {
            if nth > 0 {
                page.control("PP", []);
            }
            page.text([roman(*purpose)]);
            page.control("PP", [])
                .control("RS", ["4"])
                .control("EX", []);
            for line in lines.lines() {
                page.text([roman(line)]);
            }
            page.control("EE", []).control("RE", []);
        }
    }

    fn see_also(&self, page: &mut Roff) {
        let mut others: Vec<_> = shown(self.command)
            .chain(self.above)
            .map(display_name)
            .collect();
        others.sort_unstable();
        page.control("SH", ["SEE ALSO"]);
        for other in others {
            page.text([bold(other), roman("(1),")]);
        }
        page.text([bold("pathweave.toml"), roman("(5),")]);
        page.text([bold("pathweaved"), roman("(8)")]);
    }
}

/// `pathweave-peer-add`; clap sets it when it builds the command.
fn display_name(command: &Command) -> &str {
    command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
}

/// Where an argument has a list of values, clap_mangen breaks a line that is empty.
fn without_empty_breaks(page: &str) -> String {
    let breaks = |line: &str| line.is_empty() || line == ".br";
    let mut lines: Vec<_> = page.lines().collect();
    lines.dedup_by(|line, former| breaks(line) && breaks(former));
    lines.join("\n") + "\n"
}

fn table(page: &mut Roff, heading: &str, rows: &[(&str, &str)]) {
    page.control("SH", [heading]);
    for (item, meaning) in rows {
        page.control("TP", []);
        page.text([italic(*item)]);
        page.text([roman(*meaning)]);
    }
}
