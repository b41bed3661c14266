//! `pathweave run -- COMMAND`: an unmodified program with MPTCP. Where neither a library before its
//! C library nor a setting of Go's can do it, that is said, and it is not run.

mod program;
mod way;

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::failure::Failure;
use crate::output;
use program::Program;
use way::{Environment, Library, Way};

/// Of set-user-id and set-group-id.
const SET_ID: u32 = 0o6000;
/// A script that is run by a script that is run by …
const DEPTH: usize = 4;
const LIBRARY: &str = "libmptcpwrap.so";

/// A program to start.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Start it in any case, if need be with plain TCP.
    #[arg(long)]
    force: bool,
    /// Only say how it would be started.
    #[arg(long)]
    dry_run: bool,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Run {
    /// Comes back only with a failure, or from a dry run.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let (name, arguments) = self.command.split_first().ok_or_else(nothing)?;
        let path = find(name)?;
        let way = match way_of(&path) {
            Ok(way) => Some(way),
            Err(why) if self.force => {
                output::remark(&format!("started with plain TCP: {why}"));
                None
            }
            Err(why) => {
                return Err(Failure::Other(format!(
                    "{why}; --force starts it with plain TCP"
                )));
            }
        };
        if fs::read_to_string("/proc/sys/net/mptcp/enabled").is_ok_and(|on| on.trim() == "0") {
            output::remark("MPTCP is switched off here: `sudo sysctl net.mptcp.enabled=1`");
        }
        if self.dry_run {
            return output::data(&told(&path, way.as_ref()));
        }
        Err(start(name, &path, arguments, way.as_ref()))
    }
}

fn nothing() -> Failure {
    Failure::Other("name a program to run".to_owned())
}

fn told(path: &Path, way: Option<&Way>) -> String {
    let mut text = format!("{}\n", path.display());
    if let Some(way) = way {
        text = format!("{}: {}\n", path.display(), way.why);
        if let Some(preload) = &way.preload {
            text += &format!("  LD_PRELOAD={preload}\n");
        }
        text += &format!("  GODEBUG={}\n", way.godebug);
    }
    text
}

/// As the shell finds it.
fn find(name: &OsStr) -> Result<PathBuf, Failure> {
    let is_program = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|file| file.is_file() && file.mode() & 0o111 != 0)
    };
    let shown = Path::new(name).display();
    if Path::new(name).components().count() > 1 {
        let path = PathBuf::from(name);
        let wrong = || Failure::Other(format!("{shown} is no program that can be started"));
        return Some(path).filter(is_program).ok_or_else(wrong);
    }
    let folders = env::var_os("PATH").unwrap_or_default();
    let mut found = env::split_paths(&folders).map(|folder| folder.join(name));
    found.find(is_program).ok_or_else(|| {
        Failure::Other(format!(
            "no program in PATH is called {shown}: is it installed?"
        ))
    })
}

/// Of a script, what runs it matters.
fn way_of(path: &Path) -> Result<Way, String> {
    let mut path = path.to_path_buf();
    for _ in 0..DEPTH {
        let bytes = fs::read(&path)
            .map_err(|error| format!("{} cannot be read ({error})", path.display()))?;
        match program::read(&bytes) {
            Program::Script(words) => path = interpreter(&words)?,
            program @ (Program::Go(_)
            | Program::Dynamic(_)
            | Program::Static
            | Program::Unknown) => {
                let what = (path.as_path(), &program, is_privileged(&path));
                return way::find(what, &libraries(), &environment());
            }
        }
    }
    Err(format!(
        "{} is a script of scripts without end",
        path.display()
    ))
}

/// `env` itself runs the first word that is neither an option nor a setting.
fn interpreter(words: &[String]) -> Result<PathBuf, String> {
    let (first, others) = words
        .split_first()
        .ok_or("a script without an interpreter")?;
    let is_env = Path::new(first).file_name() == Some(OsStr::new("env"));
    let name = match others
        .iter()
        .find(|word| !word.starts_with('-') && !word.contains('='))
    {
        Some(inner) if is_env => inner,
        Some(_) | None => first,
    };
    find(OsStr::new(name)).map_err(|failure| failure.to_string())
}

fn is_privileged(path: &Path) -> bool {
    let Ok(file) = fs::metadata(path) else {
        return false;
    };
    let me = fs::metadata("/proc/self").map(|me| me.uid());
    file.mode() & SET_ID != 0 && me.is_ok_and(|me| me != file.uid())
}

fn environment() -> Environment {
    let value = |name| env::var(name).unwrap_or_default();
    Environment {
        preload: value("LD_PRELOAD"),
        godebug: value("GODEBUG"),
    }
}

/// Where distributions keep mptcpize's library.
fn libraries() -> Vec<Library> {
    let bases = [
        "/usr/lib",
        "/usr/lib64",
        "/usr/local/lib",
        "/usr/local/lib64",
    ];
    let mut folders: Vec<PathBuf> = bases.iter().map(PathBuf::from).collect();
    for base in bases {
        let inner = fs::read_dir(base).into_iter().flatten().flatten();
        folders.extend(inner.map(|entry| entry.path()));
    }
    let mut found = Vec::new();
    for folder in folders {
        let files = fs::read_dir(folder.join("mptcpize"))
            .into_iter()
            .flatten()
            .flatten();
        for path in files.map(|entry| entry.path()) {
            let named = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(LIBRARY));
            let build = fs::read(&path).ok().filter(|_| named);
            let build = build.and_then(|bytes| program::read_library(&bytes));
            found.extend(build.map(|build| Library { path, build }));
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// In the place of this process: signals, terminal and exit code are the program's own.
fn start(name: &OsStr, path: &Path, arguments: &[OsString], way: Option<&Way>) -> Failure {
    #[expect(
        clippy::disallowed_methods,
        reason = "this command is there to start one"
    )]
    let mut command = std::process::Command::new(path);
    command.arg0(name).args(arguments);
    if let Some(way) = way {
        command.env("GODEBUG", &way.godebug);
        if let Some(preload) = &way.preload {
            command.env("LD_PRELOAD", preload);
        }
    }
    let error = command.exec();
    Failure::Other(format!("{} cannot be started: {error}", path.display()))
}
