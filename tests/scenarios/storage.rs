//! The recipes of `config-examples/storage/`, typed as they stand there at both sites: the data
//! arrives, and every connection that carries it has one subflow on every path.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test: what is missing shall fail it"
)]

#[path = "storage/machine.rs"]
mod machine;
#[path = "storage/page.rs"]
mod page;
#[path = "storage/watch.rs"]
mod watch;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lab::enter;
use lab::programs::{have, lab_can_run, skipped};
use lab::{Isp, Lab};

use machine::Machine;
use watch::Watch;

/// Files to move.
const FILES: &str = "mkdir -p /srv/data
    for file in 1 2 3 4 5 6 7 8; do head -c 3000000 /dev/urandom > /srv/data/file-$file; done";
/// A disk to move.
const DISK: &str = "head -c 24M /dev/urandom > /srv/disk.img";
const SUMS_OF_FILES: &str = "cd /srv/data && find . -type f | sort | xargs sha256sum";
const SUM_OF_DISK: &str = "sha256sum /srv/disk.img";
/// Others than loopback's, and than pathweaved's own for speed tests.
const LISTENING: &str = "ss -Hltn not src 127.0.0.1 and not src [::1] and sport != 51820";

/// Programs and their packages.
const MPTCPIZE: (&str, &str) = ("mptcpize", "mptcpize");
const RSYNC: (&str, &str) = ("rsync", "rsync");
const SSHD: (&str, &str) = ("sshd", "openssh-server");

struct Recipe {
    page: String,
    lab: Lab,
    nara: Machine,
    tainan: Machine,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config-examples/storage")
}

fn page(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

/// Says of all that are missing.
fn installed(programs: &[(&str, &str)]) -> bool {
    let missing = programs
        .iter()
        .filter(|(program, package)| !have(program, package));
    missing.count() == 0
}

/// Servers that give up root's rights need somebody to become.
fn is_root() -> bool {
    if enter::inside() {
        skipped("its server needs root, and not only that of a user namespace");
    }
    !enter::inside()
}

impl Recipe {
    /// Nara has made what shall be moved.
    fn new(name: &str, make: &str) -> Self {
        let isps = [Isp::new(50, 10), Isp::new(30, 20), Isp::new(20, 40)];
        let mut lab = Lab::two_sites(&isps).unwrap();
        lab.start().unwrap();
        let scripts = lab.sites[0].home.folder.join("..");
        let [mut nara, tainan] = [0, 1].map(|site| Machine::at(&lab.sites[site], &scripts));
        nara.run(make);
        Self {
            page: page(name),
            lab,
            nara,
            tainan,
        }
    }

    /// Types all of the page, and looks on from Nara.
    fn typed(&mut self) -> Watch {
        let mut watch = Watch::default();
        for block in page::blocks(&self.page) {
            let machine = match block.site.as_str() {
                "nara" => &mut self.nara,
                "tainan" => &mut self.tainan,
                other => panic!("the page types at {other}"),
            };
            let script = machine.begin(&block.script);
            let said = script.wait(|| watch.look(&self.lab.sites[0]));
            println!("{}:\n{}{said}", block.site, block.script);
            if block.site == "tainan" {
                self.wait_for_the_server();
            }
        }
        println!("{}\n{watch}", watch.shown.as_deref().unwrap_or_default());
        watch
    }

    /// A daemon may go to the background before it listens, which nobody types fast enough to see.
    fn wait_for_the_server(&mut self) {
        let wait = format!("until {LISTENING} | grep -q .; do sleep 0.1; done");
        self.tainan.run(&wait);
    }

    /// Typed, it does what it promises: both sites have the same, no packet left in clear, and the
    /// connections are as the page says.
    fn holds(&mut self, [here, there]: [&str; 2]) {
        let watch = self.typed();
        let (here, there) = (self.nara.run(here), self.tainan.run(there));
        assert!(!here.is_empty());
        assert_eq!(here, there, "what arrived is not what was sent");
        let elsewhere = format!("{LISTENING} and not src 10.213.2.1");
        assert_eq!(self.tainan.run(&elsewhere), "", "listens for everybody");
        watch.assert_multipath();
        let (number, program) = page::connections(&self.page).unwrap();
        assert!(watch.complete(&program) >= number, "of {program}:\n{watch}");
        let status = self.lab.sites[0].home.status().unwrap();
        let sent = status.peers[0].paths.iter().map(|path| path.tx_bytes);
        let sent: Vec<_> = sent.collect();
        println!("sent by path: {sent:?}");
        assert!(sent.iter().all(|bytes| *bytes > 500_000), "{sent:?}");
        assert_eq!(self.lab.cleartext(), Vec::<String>::new(), "cleartext");
    }
}

#[test]
fn rsync_to_its_daemon() {
    let programs = [RSYNC, MPTCPIZE];
    if !(lab_can_run() && installed(&programs) && is_root()) {
        return;
    }
    let mut recipe = Recipe::new("rsyncd.md", FILES);
    recipe.holds([SUMS_OF_FILES; 2]);
}

#[test]
fn rsync_over_ssh() {
    let programs = [RSYNC, SSHD, MPTCPIZE];
    if !(lab_can_run() && installed(&programs) && is_root()) {
        return;
    }
    let mut recipe = Recipe::new("rsync-ssh.md", FILES);
    may_log_in(&mut recipe);
    recipe.holds([SUMS_OF_FILES; 2]);
}

#[test]
fn a_folder_mounted_by_sshfs() {
    let programs = [("sshfs", "sshfs"), SSHD, MPTCPIZE];
    if !(lab_can_run() && installed(&programs) && is_root() && has_fuse()) {
        return;
    }
    let mut recipe = Recipe::new("sshfs.md", FILES);
    may_log_in(&mut recipe);
    let there = SUMS_OF_FILES.replace("/srv/data", "/srv/shared");
    recipe.holds([SUMS_OF_FILES, &there]);
}

fn has_fuse() -> bool {
    let has = Path::new("/dev/fuse").exists();
    if !has {
        skipped("/dev/fuse does not exist: `sudo modprobe fuse`");
    }
    has
}

/// What the pages take for granted: Nara's root has a key that Tainan's root knows, and Tainan a
/// key that Nara's root knows.
fn may_log_in(recipe: &mut Recipe) {
    let make = "mkdir -m 700 -p ~/.ssh && ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519 &&
        cat ~/.ssh/id_ed25519.pub";
    let key = recipe.nara.run(make);
    let let_in = format!(
        "mkdir -m 700 -p ~/.ssh && echo '{}' > ~/.ssh/authorized_keys
        sed -i 's/^root:[^:]*/root:*/' /etc/shadow      # not locked
        ssh-keygen -A >/dev/null && cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub",
        key.trim()
    );
    let host = recipe.tainan.run(&let_in);
    let know = format!(
        "echo '[10.213.2.1]:2222 {}' > ~/.ssh/known_hosts",
        host.trim()
    );
    recipe.nara.run(&know);
}

#[test]
fn nbd_by_nbdkit_and_nbdcopy() {
    let programs = [("nbdkit", "nbdkit"), ("nbdcopy", "libnbd-bin"), MPTCPIZE];
    if !(lab_can_run() && installed(&programs)) {
        return;
    }
    let mut recipe = Recipe::new("nbd.md", DISK);
    recipe.holds([SUM_OF_DISK; 2]);
}

#[test]
fn a_disk_copied_by_qemu() {
    let programs = [("qemu-nbd", "qemu-utils"), MPTCPIZE];
    if !(lab_can_run() && installed(&programs)) {
        return;
    }
    let mut recipe = Recipe::new("qemu.md", DISK);
    recipe.holds([SUM_OF_DISK; 2]);
}

#[test]
fn a_disk_over_iscsi_in_user_space() {
    let programs = [("tgtd", "tgt"), ("qemu-img", "qemu-utils"), MPTCPIZE];
    if !(lab_can_run() && installed(&programs) && is_root() && knows_iscsi()) {
        return;
    }
    let mut recipe = Recipe::new("iscsi.md", DISK);
    recipe.holds([SUM_OF_DISK; 2]);
}

fn knows_iscsi() -> bool {
    let mut ask = Command::new("qemu-img");
    let answer = ask.args(["info", "iscsi://127.0.0.1:1/x/1"]).output();
    let said = String::from_utf8_lossy(&answer.unwrap().stderr).into_owned();
    let knows = !said.contains("Unknown protocol");
    if !knows {
        skipped("this qemu-img has no iSCSI (apt install qemu-block-extra)");
    }
    knows
}

#[test]
fn a_gluster_volume_on_both_sites() {
    let programs = [("glusterd", "glusterfs-server"), MPTCPIZE];
    if !(lab_can_run() && installed(&programs) && is_root() && has_fuse()) {
        return;
    }
    let mut recipe = Recipe::new("gluster.md", FILES);
    let brick = SUMS_OF_FILES.replace("/srv/data", "/srv/brick");
    let brick = brick.replace("-type f", "-path ./.glusterfs -prune -o -type f -print");
    recipe.holds([SUMS_OF_FILES, &brick]);
}

#[test]
fn objects_over_s3() {
    if !(lab_can_run() && have("rclone", "rclone") && serves_s3()) {
        return;
    }
    let mut recipe = Recipe::new("s3.md", FILES);
    let bucket = SUMS_OF_FILES.replace("/srv/data", "/srv/objects/data");
    recipe.holds([SUMS_OF_FILES, &bucket]);
}

fn serves_s3() -> bool {
    let mut asked = Command::new("rclone");
    let asked = asked.args(["serve", "s3", "--help"]).output();
    let serves = asked.unwrap().status.success();
    if !serves {
        skipped("this rclone serves no S3: 1.65 or later is needed (tests/newest-rclone)");
    }
    serves
}

#[test]
fn objects_of_ceph() {
    let programs = [
        ("ceph-mon", "ceph-mon"),
        ("ceph-osd", "ceph-osd"),
        ("rados", "ceph-common"),
        MPTCPIZE,
    ];
    if !(lab_can_run() && installed(&programs) && is_root()) {
        return;
    }
    let mut recipe = Recipe::new("ceph.md", DISK);
    let object = "rados -p data get disk /srv/disk.img; sha256sum /srv/disk.img";
    recipe.holds([SUM_OF_DISK, object]);
}

#[test]
fn the_table_says_of_every_page_what_the_page_says() {
    let table = page("README.md");
    let row = |name: &str| {
        let link = format!("[{name}]({name})");
        let mut rows = table.lines().filter(|line| line.starts_with("| "));
        rows.find(|line| line.contains(&link)).map(str::to_owned)
    };
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name == "README.md" {
            continue;
        }
        let row = row(&name).unwrap_or_else(|| panic!("{name} is not in the table"));
        let text = page(&name);
        let tested = page::fact(&text, "tested").unwrap();
        assert!(row.ends_with(&format!("| {tested} |")), "{name}: {row}");
        assert!(!page::blocks(&text).is_empty(), "{name} types nothing");
    }
}

#[test]
fn the_library_of_the_drop_in_is_found_by_the_loader() {
    if !have("mptcpize", "mptcpize") {
        return;
    }
    let text = page("README.md");
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_prefix("Environment=LD_PRELOAD="));
    let mut command = Command::new("true");
    let said = command.env("LD_PRELOAD", line.unwrap()).output().unwrap();
    assert_eq!(String::from_utf8(said.stderr).unwrap(), "");
}
