//! How a program is brought to MPTCP, or why it cannot be. Pure.

use std::path::{Path, PathBuf};

use super::program::{Build, Program};

/// The first Go whose net package knows MPTCP.
const GO: u32 = 21;
const GO_SETTING: &str = "multipathtcp";

/// A library that is put before the C library.
#[derive(Clone, Debug)]
pub(super) struct Library {
    pub(super) path: PathBuf,
    pub(super) build: Build,
}

/// What stands in the environment already.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    pub(super) preload: String,
    pub(super) godebug: String,
}

/// Both are set for either: a shell may start a Go program, and the other way round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) preload: Option<String>,
    pub(super) godebug: String,
    pub(super) why: &'static str,
}

/// `privileged`: it runs with other rights than the caller's.
pub(super) fn find(
    (path, program, privileged): (&Path, &Program, bool),
    libraries: &[Library],
    environment: &Environment,
) -> Result<Way, String> {
    let path = path.display();
    let way = |library: Option<&Library>, why| Way {
        preload: library.map(|library| before(&library.path, &environment.preload)),
        godebug: with_mptcp(&environment.godebug),
        why,
    };
    match program {
        Program::Go(Some(GO..)) => Ok(way(libraries.first(), "a Go program: GODEBUG")),
        Program::Go(version) => {
            let version = version.map_or("before 1.18".to_owned(), |minor| format!("1.{minor}"));
            Err(format!(
                "{path} is built with Go {version}, which does not know MPTCP: have it built with \
                 Go 1.{GO} or later"
            ))
        }
        Program::Dynamic(_) if privileged => Err(format!(
            "{path} is set-user-id, so the system lets no library be put before it: start it as \
             the user that owns it"
        )),
        Program::Dynamic(build) => {
            let fits = |library: &&Library| library.build == *build;
            match (libraries.iter().find(fits), libraries) {
                (Some(library), _) => Ok(way(Some(library), "libmptcpwrap")),
                (None, []) => Err(format!(
                    "{path} needs libmptcpwrap, which is not installed: `sudo apt install \
                     mptcpize` (Fedora: `sudo dnf install mptcpd`)"
                )),
                (None, _) => Err(format!(
                    "{path} is of another architecture or C library than the libmptcpwrap that is \
                     installed: install that of its own"
                )),
            }
        }
        Program::Static => Err(format!(
            "{path} is linked statically, so no library can be put before it: use one that is \
             linked dynamically, or that opens MPTCP by itself"
        )),
        Program::Script(_) | Program::Unknown => Err(format!(
            "what kind of program {path} is cannot be told: name the program that runs it as well"
        )),
    }
}

fn before(library: &Path, others: &str) -> String {
    let library = library.display();
    match others {
        "" => library.to_string(),
        others => format!("{library}:{others}"),
    }
}

/// For what it dials and what it listens on.
fn with_mptcp(godebug: &str) -> String {
    let ours = format!("{GO_SETTING}=1");
    let is_other = |setting: &&str| !setting.is_empty() && !setting.starts_with(GO_SETTING);
    let others = godebug.split(',').filter(is_other);
    others.chain([ours.as_str()]).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::super::program;
    use super::*;

    fn build() -> Build {
        let me = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        program::read_library(&me).unwrap()
    }

    fn library() -> Library {
        Library {
            path: "/usr/lib/libmptcpwrap.so.0".into(),
            build: build(),
        }
    }

    #[test]
    fn every_kind_of_program_gets_its_way_or_the_reason_why_there_is_none() {
        let dynamic = Program::Dynamic(build());
        let all = [library()];
        let table = [
            (dynamic.clone(), false, &all[..], "libmptcpwrap"),
            (dynamic.clone(), false, &[], "apt install mptcpize"),
            (dynamic, true, &all, "set-user-id"),
            (Program::Go(Some(24)), true, &[], "a Go program: GODEBUG"),
            (Program::Go(Some(20)), false, &all, "built with Go 1.20"),
            (Program::Go(None), false, &all, "before 1.18"),
            (Program::Static, false, &all, "linked statically"),
            (Program::Unknown, false, &all, "cannot be told"),
        ];
        for (program, privileged, libraries, words) in table {
            let what = (Path::new("/bin/it"), &program, privileged);
            let said = match find(what, libraries, &Environment::default()) {
                Ok(way) => way.why.to_owned(),
                Err(why) => why,
            };
            assert!(said.contains(words), "{program:?}: {said}");
        }
    }

    #[test]
    fn what_the_environment_has_already_stays() {
        let environment = Environment {
            preload: "/lib/other.so".to_owned(),
            godebug: "http2client=0,multipathtcp=0".to_owned(),
        };
        let what = (Path::new("/bin/it"), &Program::Dynamic(build()), false);
        let way = find(what, &[library()], &environment).unwrap();
        let expected = "/usr/lib/libmptcpwrap.so.0:/lib/other.so";
        assert_eq!(way.preload.as_deref(), Some(expected));
        assert_eq!(way.godebug, "http2client=0,multipathtcp=1");
    }
}
