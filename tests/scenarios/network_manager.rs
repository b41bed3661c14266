//! NetworkManager, the real one, takes the ISPs' devices over in the middle of a transfer: with
//! what we put beside it, and without. It has a D-Bus and folders of its own, and no udev.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test: what is missing, or late, shall fail it"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lab::outage::{by_source, one_per_path};
use lab::programs::{self, Background, have, lab_can_run, skipped};
use lab::transfer::{self, Transfer};
use lab::{Isp, Lab, Site};
use nix::sys::signal::Signal;

const DROP_IN: &str = include_str!("../../packaging/networkmanager.conf");
/// It writes nothing outside its folders, and no name of the machine.
const SETTINGS: &str = "[main]\nplugins=keyfile\nauth-polkit=false\ndns=none\n\
    rc-manager=unmanaged\nhostname-mode=none\nno-auto-default=*\n";
/// Of the profiles, but for the link's number.
const UUID: &str = "00000000-0000-4000-8000-00000000000";
const LONG: Duration = Duration::from_secs(30);

/// NetworkManager and its bus in a site's namespace.
struct Manager<'a> {
    site: &'a Site,
    folder: PathBuf,
    bus: Option<Background>,
    running: Option<Background>,
}

impl<'a> Manager<'a> {
    fn new(site: &'a Site, drop_in: &str) -> Self {
        let folder = site.home.folder.join("network-manager");
        fs::create_dir_all(folder.join("conf.d")).unwrap();
        fs::create_dir_all(folder.join("connections")).unwrap();
        let keyfile = format!("[keyfile]\npath={}/connections\n", folder.display());
        let settings = format!("{SETTINGS}{keyfile}");
        fs::write(folder.join("NetworkManager.conf"), settings).unwrap();
        fs::write(folder.join("conf.d/pathweave.conf"), drop_in).unwrap();
        for link in 1..=3 {
            let file = folder.join(format!("connections/isp{link}.nmconnection"));
            fs::write(&file, profile(link)).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let bus = format!(
            "<busconfig><type>system</type><listen>unix:path={}/bus</listen>\
             <policy context='default'><allow user='*'/><allow own='*'/>\
             <allow send_destination='*'/><allow receive_sender='*'/></policy></busconfig>",
            folder.display()
        );
        fs::write(folder.join("bus.conf"), bus).unwrap();
        Self {
            site,
            folder,
            bus: None,
            running: None,
        }
    }

    fn shell(&self, command: &str) -> Background {
        let script = format!(
            "cd {}; export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$PWD/bus; {command}",
            self.folder.display()
        );
        let arguments = ["--mount", "--uts", "sh", "-ec", &script];
        programs::start(self.site.namespace(), "unshare", &arguments)
    }

    /// Starts it, or starts it again, and waits until it answers.
    fn start(&mut self) {
        if self.bus.is_none() {
            let bus = "exec dbus-daemon --config-file=bus.conf --nofork --nopidfile 2>>log";
            self.bus = Some(self.shell(bus));
            self.wait_until("a bus", || self.folder.join("bus").exists());
        }
        if let Some(mut former) = self.running.take() {
            former.signal(Signal::SIGTERM).unwrap();
            former.wait().unwrap();
        }
        // Without udev it waits for nobody where /sys is read-only, as in a container.
        self.running = Some(self.shell(
            "mount -t sysfs -o ro sys /sys; mkdir -p run state; mount --bind run /run; \
             mount --bind state /var/lib/NetworkManager; exec NetworkManager --debug \
             --config=NetworkManager.conf --config-dir=$PWD/conf.d --intern-config=intern.conf \
             --state-file=state.conf --pid-file=pid >>log 2>&1",
        ));
        self.wait_until("NetworkManager", || self.ask("-t general").contains("conn"));
    }

    /// What nmcli says; nothing when it fails.
    fn ask(&self, arguments: &str) -> String {
        let folder = self.folder.display();
        let line = format!(
            "DBUS_SYSTEM_BUS_ADDRESS=unix:path={folder}/bus nmcli --wait 20 {arguments} \
             2>>{folder}/log || true"
        );
        self.site.namespace().shell(&line)
    }

    fn wait_until(&self, what: &str, true_at_last: impl Fn() -> bool) {
        let deadline = Instant::now() + LONG;
        while !true_at_last() {
            let late = Instant::now() > deadline;
            assert!(!late, "not within {LONG:?}: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Started, given each ISP's device, asked to apply its profile again, and started again.
    fn story(&mut self) {
        self.start();
        for link in 1..=3 {
            let said = self.ask(&format!("connection up uuid {UUID}{link}"));
            assert!(said.contains("successfully"), "{said}{}", self.log());
        }
        let said = self.ask("device reapply isp1");
        assert!(said.contains("successfully"), "{said}{}", self.log());
        self.start();
        self.wait_until("its devices", || {
            let devices = self.ask("-t -f DEVICE,STATE device");
            devices.lines().any(|line| line == "isp3:connected")
        });
    }
}

/// The address and the route that the lab's ISP gives.
fn profile(link: u8) -> String {
    format!(
        "[connection]\nid=isp{link}\nuuid={UUID}{link}\ntype=tun\n\
         interface-name=isp{link}\n[tun]\nmode=1\nvnet-hdr=true\n[ipv4]\nmethod=manual\n\
         address1=198.18.{link}.1/32\nroute1=0.0.0.0/0,,{}\n[ipv6]\nmethod=ignore\n",
        100 + u16::from(link)
    )
}

fn can_run() -> bool {
    if !lab_can_run() {
        return false;
    }
    if lab::enter::inside() || !nix::unistd::geteuid().is_root() {
        skipped("NetworkManager needs root");
        return false;
    }
    if !Path::new("/var/lib/NetworkManager").is_dir() {
        skipped("NetworkManager is not installed (apt install network-manager)");
        return false;
    }
    have("NetworkManager", "network-manager")
        && have("nmcli", "network-manager")
        && have("dbus-daemon", "dbus-daemon")
}

/// What is left of NetworkManager's wishes at the end.
struct Left {
    endpoints: String,
    devices: String,
}

fn transfer_beside(drop_in: &str) -> Left {
    let mut lab = Lab::two_sites(&[Isp::new(30, 10), Isp::new(20, 40), Isp::new(10, 80)]).unwrap();
    lab.start().unwrap();
    let (here, there) = (&lab.sites[0], &lab.sites[1]);
    let mut manager = Manager::new(here, drop_in);
    let (mut last, mut most) = (BTreeMap::new(), 0);
    let outcome = std::thread::scope(|scope| {
        let transfer = scope.spawn(|| {
            transfer::run(&Transfer::of(130), here, there, |progress| {
                last = by_source(progress);
                most = most.max(last.len());
            })
        });
        std::thread::sleep(Duration::from_secs(2));
        // In this thread, with which its programs would end.
        manager.story();
        assert!(!transfer.is_finished(), "the transfer ended before");
        transfer.join().unwrap().unwrap()
    });
    let left = Left {
        endpoints: here.namespace().shell("ip mptcp endpoint"),
        devices: manager.ask("-t -f DEVICE,STATE device"),
    };
    println!(
        "{:.1} Mbit/s, longest stall {:?}; repairs {:?}; endpoints: {}; devices: {}",
        outcome.rate(),
        outcome.longest_stall(),
        here.home.status().unwrap().site.repairs,
        left.endpoints.replace('\n', ", "),
        left.devices.replace('\n', ", ")
    );
    assert!(outcome.intact, "the data came out different");
    assert_eq!(last, one_per_path(here), "subflows at the end");
    assert_eq!(most, 3, "subflows that are nobody's wish");
    assert!(
        outcome.longest_stall() <= Duration::from_secs(2),
        "it stood still"
    );
    assert_eq!(lab.cleartext(), Vec::<String>::new(), "cleartext at an ISP");
    here.home.wait_until_all_up();
    left
}

#[test]
fn network_manager_that_was_told_of_us_leaves_tunnels_alone_and_makes_no_endpoints() {
    if !can_run() {
        return;
    }
    let left = transfer_beside(DROP_IN);
    assert_eq!(left.endpoints, "", "endpoints of NetworkManager's");
    let tunnels = left.devices.lines().filter(|line| line.starts_with("pw-"));
    let states: Vec<_> = tunnels.map(|line| line.ends_with(":unmanaged")).collect();
    assert_eq!(states, [true; 3], "{}", left.devices);
}

#[test]
fn network_manager_that_knows_nothing_of_us_adds_endpoints_and_does_no_harm() {
    if !can_run() {
        return;
    }
    let left = transfer_beside("");
    for link in 1..=3 {
        let address = format!("198.18.{link}.1 ");
        let found = left.endpoints.contains(&address);
        assert!(
            found,
            "no longer what NetworkManager does: {}",
            left.endpoints
        );
    }
}
