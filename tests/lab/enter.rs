//! The right to make namespaces: as root, or as root of a user namespace of our own.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use nix::mount::{MsFlags, mount};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{getegid, geteuid};

use crate::namespace::Namespace;
use crate::sys;

const INSIDE: &str = "PATHWEAVE_LAB_INSIDE";

/// What the machine lacks, with the remedy.
#[derive(Debug)]
pub struct Missing(pub String);

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The machine can carry the lab.
pub fn check() -> Result<(), Missing> {
    let missing = |text: &str| Err(Missing(text.to_owned()));
    if !Path::new("/dev/net/tun").exists() {
        return missing("/dev/net/tun does not exist: `sudo modprobe tun`");
    }
    if !Path::new("/proc/sys/net/mptcp").exists() {
        return missing("this kernel has no MPTCP: 5.16 or later with CONFIG_MPTCP is needed");
    }
    if std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
        .is_err()
    {
        return missing(
            "/dev/net/tun may not be opened: `sudo chmod 666 /dev/net/tun` (its usual mode), or \
             run as root",
        );
    }
    Ok(())
}

/// Without the right: runs this program again as root of a user namespace, and ends with its
/// exit code. With it: does nothing. Many tests may call this at once: the program as a whole
/// runs again, not once for each of them.
pub fn enter() -> Result<(), Missing> {
    static ENTERED: Mutex<bool> = Mutex::new(false);
    let mut entered = ENTERED.lock().unwrap_or_else(PoisonError::into_inner);
    check()?;
    if inside() && prctl::set_pdeathsig(Signal::SIGKILL).is_err() {
        // Whoever kills the one outside kills the one inside too.
    }
    if *entered {
        return Ok(());
    }
    match Namespace::new() {
        Ok(_) => {
            *entered = true;
            furnish();
            return Ok(());
        }
        Err(error) if inside() => {
            let text = format!("the user namespace gives no root ({error}): run as root");
            return Err(Missing(text));
        }
        Err(_) => {}
    }
    let code = again().map_err(|error| {
        Missing(format!(
            "a user namespace cannot be made ({error}): run as root, or allow it with `sudo \
             sysctl kernel.unprivileged_userns_clone=1` (Debian) or `sudo sysctl \
             kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu)"
        ))
    })?;
    std::process::exit(code);
}

/// This runs as root of a user namespace of the lab's own, where there is one user and one group.
pub fn inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Programs that think they are root keep their sockets in /run, which is not ours to write.
fn furnish() {
    let nothing: Option<&str> = None;
    if inside() && mount(nothing, "/run", Some("tmpfs"), MsFlags::empty(), nothing).is_err() {
        // The tests of such programs look themselves.
    }
}

/// `unshare --map-root-user`: the child waits for its maps, then runs this program.
fn again() -> io::Result<i32> {
    let me = std::env::current_exe()?;
    let mut command = Command::new("/bin/sh");
    command.args([
        "-c",
        "read ready && exec \"$0\" \"$@\"",
        &me.to_string_lossy(),
    ]);
    command
        .args(std::env::args().skip(1))
        .env(INSIDE, "1")
        .stdin(Stdio::piped());
    sys::run_as_namespace_root(&mut command);
    let mut child = command.spawn()?;
    let folder = format!("/proc/{}", child.id());
    std::fs::write(format!("{folder}/setgroups"), "deny")?;
    std::fs::write(format!("{folder}/uid_map"), format!("0 {} 1", geteuid()))?;
    std::fs::write(format!("{folder}/gid_map"), format!("0 {} 1", getegid()))?;
    if let Some(mut stdin) = child.stdin.take() {
        io::Write::write_all(&mut stdin, b"ready\n")?;
    }
    Ok(child.wait()?.code().unwrap_or(1))
}
