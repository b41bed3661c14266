//! Real programs in a site's namespace; a test whose program is missing says so and is skipped.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::namespace::Namespace;

/// Where a program is: in PATH, or in a folder that an ordinary user's may lack.
pub fn find(program: &str) -> Option<PathBuf> {
    let folders = ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(folders.map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|place| place.exists())
}

/// The program is installed; otherwise prints which package holds it.
pub fn have(program: &str, package: &str) -> bool {
    let found = find(program).is_some();
    if !found {
        skipped(&format!(
            "{program} is not installed (apt install {package})"
        ));
    }
    found
}

/// Says why a test did not run: on stderr, and in the file PATHWEAVE_SKIPPED for the summary.
pub fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    eprintln!("skipped: {test}: {why}");
    if let Some(file) = std::env::var_os("PATHWEAVE_SKIPPED") {
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(file);
        if file
            .and_then(|mut file| writeln!(file, "{test}: {why}"))
            .is_err()
        {
            eprintln!("PATHWEAVE_SKIPPED cannot be written");
        }
    }
}

/// True where the lab can run; otherwise the test is skipped, and it is said why. Without root
/// the tests run again, all of them, in a user namespace: see [`crate::enter`].
pub fn lab_can_run() -> bool {
    match crate::enter::enter() {
        Ok(()) => true,
        Err(missing) => {
            skipped(&missing.0);
            false
        }
    }
}

/// A program that runs until it is dropped, or has ended by itself.
#[derive(Debug)]
pub struct Background(Child);

impl Background {
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill(Pid::from_raw(self.0.id() as i32), signal)?)
    }

    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if self.0.kill().and_then(|()| self.0.wait()).is_err() {
            eprintln!("process {} could not be ended", self.0.id());
        }
    }
}

/// Starts a program in a namespace; what it prints is lost.
pub fn start(namespace: &Namespace, program: &str, arguments: &[&str]) -> Background {
    let mut command = namespace.command(program).unwrap();
    let command = command.args(arguments).env("WG_PROCESS_FOREGROUND", "1");
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    Background(command.spawn().unwrap())
}
