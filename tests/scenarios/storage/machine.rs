//! A machine at a site: files and processes of its own, so that a recipe may write to /etc and
//! leave daemons behind. All of it goes with its holder.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use lab::daemon::binary;
use lab::laboratory::Site;

/// The first process: gives the machine its folders, and then runs one script after the other.
/// What programs keep (keys, configuration) is copied, and where they write is empty.
const FIRST: &str = r#"
for folder in /etc /var/lib/glusterd; do
    [ -d "$folder" ] || continue
    mount -t tmpfs -o mode=755 tmpfs /mnt
    cp -a "$folder/." /mnt 2>/dev/null || true      # not all may be read in a user namespace
    mount --move /mnt "$folder"
done
for folder in /srv /run /root /var/log /var/lib/ceph; do
    [ ! -d "$folder" ] || mount -t tmpfs -o mode=755 tmpfs "$folder"
done
cd /root
export HOME=/root
while read -r script; do
    bash -eu "$script" </dev/null >"$script.out" 2>&1
    echo $? >"$script.ended.new"
    mv "$script.ended.new" "$script.ended"
done
"#;

#[derive(Debug)]
pub struct Machine {
    first: Child,
    folder: PathBuf,
    scripts: usize,
}

/// A script under way.
#[derive(Debug)]
pub struct Script(PathBuf);

impl Machine {
    /// `folder`: where its scripts lie, outside of its own folders.
    pub fn at(site: &Site, folder: &Path) -> Self {
        let folder = folder.join(&site.name);
        fs::create_dir_all(&folder).unwrap();
        let complaints = File::create(folder.join("first.out")).unwrap();
        let programs = binary("pathweave").parent().unwrap().to_path_buf();
        let path = env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}:/usr/sbin:/sbin", programs.display());
        let socket = site.home.folder.join("run/pathweave.sock");
        let mut command = site.namespace().command("unshare").unwrap();
        let first = command
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["bash", "-c", FIRST])
            .env("PATH", path)
            .env("PATHWEAVE_SOCKET", socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(complaints)
            .spawn()
            .unwrap();
        Self {
            first,
            folder,
            scripts: 0,
        }
    }

    pub fn begin(&mut self, script: &str) -> Script {
        self.scripts += 1;
        let path = self.folder.join(format!("script-{}", self.scripts));
        fs::write(&path, script).unwrap();
        let line = format!("{}\n", path.display());
        let input = self.first.stdin.as_mut().unwrap();
        input.write_all(line.as_bytes()).unwrap();
        Script(path)
    }

    /// What it printed; fails with that when it fails.
    pub fn run(&mut self, script: &str) -> String {
        self.begin(script).wait(|| {})
    }
}

impl Script {
    const PATIENCE: Duration = Duration::from_secs(60);

    /// Does `meanwhile` again and again until it has ended.
    pub fn wait(self, mut meanwhile: impl FnMut()) -> String {
        let beside = |ending: &str| PathBuf::from(format!("{}.{ending}", self.0.display()));
        let deadline = Instant::now() + Self::PATIENCE;
        loop {
            meanwhile();
            let code = fs::read_to_string(beside("ended"));
            let said = || fs::read_to_string(beside("out")).unwrap_or_default();
            let script = || fs::read_to_string(&self.0).unwrap_or_default();
            match code.as_deref().map(str::trim) {
                Ok("0") => return said(),
                Ok(code) => panic!("ended with {code}:\n{}\n{}", script(), said()),
                Err(_) if Instant::now() > deadline => {
                    panic!("has not ended:\n{}\n{}", script(), said())
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }
}

impl Drop for Machine {
    /// With `unshare` its child is killed, the first process, and with that all others: also those
    /// that wait for a site which is gone already.
    fn drop(&mut self) {
        if let Err(error) = self.first.kill().and_then(|()| self.first.wait()) {
            eprintln!("a machine of the lab may stay behind: {error}");
        }
    }
}
