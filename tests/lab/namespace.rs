//! A network namespace, held by a descriptor: no name, nothing to clean up.

use std::fs::{self, File};
use std::io;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};
use rtnetlink::LinkUnspec;

use crate::sys;

#[derive(Clone, Debug)]
pub struct Namespace(Arc<File>);

impl Namespace {
    /// A new namespace; its loopback device is up.
    pub fn new() -> io::Result<Self> {
        let file = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            loopback_up()?;
            File::open("/proc/thread-self/ns/net")
        });
        let file = file
            .join()
            .map_err(|_| io::Error::other("the thread died"))??;
        Ok(Self(Arc::new(file)))
    }

    /// By which it is held.
    pub fn file(&self) -> &File {
        &self.0
    }

    /// Runs `work` in a thread inside.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<io::Result<T>> {
        let namespace = self.0.clone();
        thread::spawn(move || {
            setns(&*namespace, CloneFlags::CLONE_NEWNET)?;
            Ok(work())
        })
    }

    /// Runs `work` inside and waits for it.
    pub fn enter<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        self.run(work)
            .join()
            .map_err(|_| io::Error::other("the thread died"))??
    }

    /// A program that will run inside, and die with the caller's thread.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> io::Result<Command> {
        let mut command = Command::new(program);
        sys::run_inside(&mut command, &self.0)?;
        Ok(command)
    }

    /// Runs a shell line inside and gives what it printed; fails loudly with what it complained.
    pub fn shell(&self, line: &str) -> String {
        let output = self
            .command("sh")
            .unwrap()
            .args(["-c", line])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The value of a sysctl, for example `net/mptcp/enabled`.
    pub fn sysctl(&self, name: &str) -> io::Result<String> {
        let path = format!("/proc/sys/{name}");
        self.enter(move || fs::read_to_string(path))
            .map(|text| text.trim().to_owned())
    }

    pub fn set_sysctl(&self, name: &str, value: &str) -> io::Result<()> {
        let (path, value) = (format!("/proc/sys/{name}"), value.to_owned());
        self.enter(move || fs::write(path, value))
    }
}

fn loopback_up() -> io::Result<()> {
    netlink(async |handle| {
        handle
            .link()
            .set(LinkUnspec::new_with_index(1).up().build())
            .execute()
            .await
    })
}

/// Talks rtnetlink inside the calling thread's namespace.
pub(crate) fn netlink<T>(
    talk: impl AsyncFnOnce(rtnetlink::Handle) -> Result<T, rtnetlink::Error>,
) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        talk(handle).await.map_err(io::Error::other)
    })
}
