//! What kind of program a file is, as far as it matters to MPTCP. Pure: from bytes.

use goblin::elf::Elf;

/// `\xff Go buildinf:`, pointer size, flags (Go's debug/buildinfo).
const GO_MAGIC: &[u8] = b"\xff Go buildinf:";
const GO_HEADER: usize = 32;
/// The version stands behind the header itself: Go 1.18 and later.
const GO_INLINE: u8 = 2;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// `#!`: what runs it, with all its arguments.
    Script(Vec<String>),
    /// Makes its system calls itself. Its version of Go, 1.x, if the file tells.
    Go(Option<u32>),
    /// Calls the C library, before which another may be put.
    Dynamic(Build),
    /// Has its own C library in it, if any.
    Static,
    /// None that this machine starts by itself.
    Unknown,
}

/// What has to agree between a program and a library that is put before its C library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Build {
    machine: u16,
    is_64: bool,
    libc: String,
}

pub(super) fn read(bytes: &[u8]) -> Program {
    if let Some(line) = bytes.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let words = String::from_utf8_lossy(line);
        let words: Vec<_> = words.split_whitespace().map(str::to_owned).collect();
        return if words.is_empty() {
            Program::Unknown
        } else {
            Program::Script(words)
        };
    }
    let Ok(elf) = Elf::parse(bytes) else {
        return Program::Unknown;
    };
    if let Some(info) = section(&elf, bytes, ".go.buildinfo") {
        return Program::Go(go_version(info));
    }
    match (elf.interpreter, build(&elf)) {
        (Some(_), Some(build)) => Program::Dynamic(build),
        (Some(_) | None, _) => Program::Static,
    }
}

/// Of a library.
pub(super) fn read_library(bytes: &[u8]) -> Option<Build> {
    build(&Elf::parse(bytes).ok()?)
}

fn build(elf: &Elf<'_>) -> Option<Build> {
    let libc = elf
        .libraries
        .iter()
        .find(|name| name.starts_with("libc."))?;
    Some(Build {
        machine: elf.header.e_machine,
        is_64: elf.is_64,
        libc: (*libc).to_owned(),
    })
}

fn section<'b>(elf: &Elf<'_>, bytes: &'b [u8], name: &str) -> Option<&'b [u8]> {
    let named =
        |header: &&goblin::elf::SectionHeader| elf.shdr_strtab.get_at(header.sh_name) == Some(name);
    let header = elf.section_headers.iter().find(named)?;
    bytes.get(header.file_range()?)
}

fn go_version(info: &[u8]) -> Option<u32> {
    let flags = *info.strip_prefix(GO_MAGIC)?.get(1)?;
    if flags & GO_INLINE == 0 {
        return None;
    }
    // A length below 128 is one byte of Go's varint; no version's name is longer.
    let (length, text) = info.get(GO_HEADER..)?.split_first()?;
    let text = String::from_utf8_lossy(text.get(..usize::from(*length))?);
    let (_, minor) = text.split_once("go1.")?;
    let end = minor.find(|c: char| !c.is_ascii_digit());
    minor.get(..end.unwrap_or(minor.len()))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_names_what_runs_it() {
        let words = |text: &str| {
            let program = read(text.as_bytes());
            let Program::Script(words) = &program else {
                return format!("{program:?}");
            };
            words.join("|")
        };
        assert_eq!(words("#!/bin/sh\necho"), "/bin/sh");
        assert_eq!(
            words("#! /usr/bin/env -S python3 -u\n"),
            "/usr/bin/env|-S|python3|-u"
        );
        assert_eq!(words("#!\n"), "Unknown");
        assert_eq!(words("MZ"), "Unknown");
        assert_eq!(words(""), "Unknown");
    }

    #[test]
    fn this_test_calls_the_c_library() {
        let me = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let Program::Dynamic(build) = read(&me) else {
            panic!("{:?}", read(&me));
        };
        assert!(build.libc.starts_with("libc."), "{build:?}");
        // Half of it is nothing that could be started, and no reason to panic.
        for end in [0, 1, 16, 64, 1000, me.len() / 2] {
            read(&me[..end]);
        }
    }

    #[test]
    fn the_version_of_go_is_read_where_it_stands() {
        let info = |flags: u8, text: &str| {
            let mut info = [GO_MAGIC, &[8, flags]].concat();
            info.resize(GO_HEADER, 0);
            info.push(u8::try_from(text.len()).unwrap());
            info.extend(text.as_bytes());
            info
        };
        let table = [
            (info(2, "go1.21.5"), Some(21)),
            (info(2, "go1.24"), Some(24)),
            (info(2, "devel go1.25-2f3a"), Some(25)),
            (info(0, "go1.17"), None),
            (info(2, "gccgo"), None),
            (vec![0xff], None),
        ];
        for (bytes, expected) in table {
            assert_eq!(go_version(&bytes), expected);
        }
    }
}
