//! The guest: an initramfs of a few programs with their libraries and the kernel's own modules.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lab::daemon::binary;
use lab::programs;

const INIT: &str = include_str!("init");
/// Names of busybox in the guest.
const APPLETS: [&str; 6] = ["cat", "modprobe", "mount", "poweroff", "rm", "sh"];
/// Folders of modules, and single ones, that the guest may ask for.
const MODULES: [&str; 5] = ["net", "lib", "crypto", "arch", "drivers/net/tun.ko"];
/// The last word of a scenario that went well.
const FINE: &str = "the guest has finished: fine";

/// Puts the guest together: `folder/initrd`. `kernel` is Debian's package, unpacked.
pub fn make(kernel: &Path, folder: &Path) -> anyhow::Result<()> {
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    for name in ["bin", "dev", "proc", "run", "sys", "tmp"] {
        fs::create_dir_all(root.join(name))?;
    }
    let busybox = program("busybox")?;
    APPLETS
        .iter()
        .try_for_each(|name| symlink("busybox", root.join("bin").join(name)))?;
    // Where the kernel looks for it.
    symlink("bin", root.join("sbin"))?;
    let me = std::env::current_exe()?;
    for path in [
        busybox.clone(),
        me,
        binary("pathweaved"),
        binary("pathweave"),
        program("nft")?,
    ] {
        install(&path, &root)?;
    }
    modules(kernel, &root, &busybox)?;
    let init = root.join("init");
    fs::write(&init, INIT)?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    let pack = "cd \"$0\" && find . | \"$1\" cpio -o -H newc >../initrd 2>/dev/null";
    run(
        "sh",
        [
            OsStr::new("-c"),
            OsStr::new(pack),
            root.as_os_str(),
            busybox.as_os_str(),
        ],
    )
}

/// Boots it, and passes on what it says.
pub fn boot(kernel: &Path, folder: &Path, patience: Duration) -> anyhow::Result<()> {
    let image = the_only(&kernel.join("boot"), "vmlinuz-")?;
    let mut guest = Command::new(program("qemu-system-x86_64")?)
        .args(["-accel", "tcg", "-smp", "2", "-m", "1024", "-nic", "none"])
        .args(["-nographic", "-no-reboot", "-kernel"])
        .arg(image)
        .arg("-initrd")
        .arg(folder.join("initrd"))
        .args(["-append", "console=ttyS0 quiet panic=-1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let said = guest.stdout.take().context("the guest has no console")?;
    let deadline = Instant::now() + patience;
    let mut fine = false;
    let listening = std::thread::spawn(move || {
        for line in BufReader::new(said).lines().map_while(Result::ok) {
            let line = line.trim_end();
            println!("{line}");
            fine |= line.ends_with(FINE);
        }
        fine
    });
    while !listening.is_finished() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(200));
    }
    let in_time = listening.is_finished();
    guest.kill()?;
    guest.wait()?;
    let fine = listening.join().unwrap_or(false);
    ensure!(in_time, "the guest has not finished within {patience:?}");
    ensure!(fine, "the scenario failed in the guest");
    Ok(())
}

/// A program with the libraries that it wants, stripped of what only a debugger reads.
fn install(path: &Path, root: &Path) -> anyhow::Result<()> {
    let name = path.file_name().context("a program has a name")?;
    let copy = root.join("bin").join(name);
    fs::copy(path, &copy)?;
    if run("strip", [copy.as_os_str()]).is_err() {
        println!("not stripped, only larger: {}", copy.display());
    }
    let libraries = Command::new("ldd").arg(path).output()?.stdout;
    let libraries = String::from_utf8_lossy(&libraries);
    let paths: BTreeSet<_> = libraries
        .split_whitespace()
        .filter(|word| word.starts_with('/') && !word.ends_with(':'))
        .collect();
    for library in paths {
        let place = root.join(library.trim_start_matches('/'));
        fs::create_dir_all(place.parent().unwrap_or(root))?;
        fs::copy(library, place)?;
    }
    Ok(())
}

fn modules(kernel: &Path, root: &Path, busybox: &Path) -> anyhow::Result<()> {
    let all = the_only(&kernel.join("lib/modules"), "")?;
    let release = all.file_name().context("a kernel has a release")?;
    let place = root.join("lib/modules").join(release).join("kernel");
    for name in MODULES {
        let (from, to) = (all.join("kernel").join(name), place.join(name));
        fs::create_dir_all(to.parent().unwrap_or(&place))?;
        run("cp", [OsStr::new("-r"), from.as_os_str(), to.as_os_str()])?;
    }
    let arguments = ["depmod".as_ref(), "-b".as_ref(), root.as_os_str(), release];
    run(busybox, arguments)
}

/// The one file of a folder whose name begins so.
fn the_only(folder: &Path, prefix: &str) -> anyhow::Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let named = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str);
        name.is_some_and(|name| name.starts_with(prefix))
    };
    paths
        .find(named)
        .with_context(|| format!("{} has no {prefix}…", folder.display()))
}

fn program(name: &str) -> anyhow::Result<PathBuf> {
    programs::find(name).with_context(|| format!("{name} is not installed"))
}

fn run<'a>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = &'a OsStr>,
) -> anyhow::Result<()> {
    let output = Command::new(program).args(arguments).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    Ok(())
}
