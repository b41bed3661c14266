//! A temporary folder that goes with its holder, even when that is killed.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A shell waits for the end of its input, which comes with our death, and sweeps up.
const SWEEP: &str = "trap '' INT TERM HUP; read never; rm -rf -- \"$1\"";

#[derive(Debug)]
pub struct Folder {
    folder: TempDir,
    janitor: Child,
}

impl Folder {
    pub fn new() -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("pathweave-lab-")
            .tempdir()?;
        let janitor = Command::new("/bin/sh")
            .args(["-c", SWEEP, "sh"])
            .arg(folder.path())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { folder, janitor })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.janitor.stdin.take());
        if let Err(error) = self.janitor.wait() {
            eprintln!("the lab's folder may stay behind: {error}");
        }
    }
}
