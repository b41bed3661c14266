//! The lab's only `unsafe`: what happens between fork and exec, and two socket options.

#![allow(
    unsafe_code,
    reason = "pre_exec is unsafe by nature; what is called there is listed"
)]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;

/// The command will run inside the network namespace, and die when the thread that starts it
/// does: nothing is left when a test is killed.
pub fn run_inside(command: &mut Command, namespace: &File) -> io::Result<()> {
    let namespace = namespace.try_clone()?;
    // SAFETY: setns and prctl are async-signal-safe system calls; nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET)?;
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            Ok(())
        });
    }
    Ok(())
}

/// The command will run as root of a user namespace, with a network and mounts of its own.
pub fn run_as_namespace_root(command: &mut Command) {
    // SAFETY: unshare is an async-signal-safe system call; nothing is allocated.
    unsafe {
        command.pre_exec(|| {
            let network_and_mounts = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS;
            unshare(CloneFlags::CLONE_NEWUSER | network_and_mounts)?;
            Ok(())
        });
    }
}

/// The socket speaks MPTCP; false after a fall-back to plain TCP (MPTCP_INFO of SOL_MPTCP).
pub fn is_mptcp(socket: &impl AsRawFd) -> bool {
    const SOL_MPTCP: i32 = 284;
    const MPTCP_INFO: i32 = 1;
    let mut info = [0u8; 256];
    let mut length = info.len() as nix::libc::socklen_t;
    // SAFETY: the buffer is as long as `length` says.
    let result = unsafe {
        nix::libc::getsockopt(
            socket.as_raw_fd(),
            SOL_MPTCP,
            MPTCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    result == 0
}

/// The socket sends without UDP checksums (SO_NO_CHECK): the kernel then refuses segmentation
/// offload (EINVAL), as one does that has none.
pub fn without_checksums(socket: &impl AsRawFd) -> bool {
    let on: i32 = 1;
    // SAFETY: the value is an int, and as long as is said.
    let result = unsafe {
        nix::libc::setsockopt(
            socket.as_raw_fd(),
            nix::libc::SOL_SOCKET,
            nix::libc::SO_NO_CHECK,
            (&raw const on).cast(),
            size_of::<i32>() as nix::libc::socklen_t,
        )
    };
    result == 0
}
