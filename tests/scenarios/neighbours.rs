//! Other software that keeps the network in order by its own ideas, on the same machine, in the
//! middle of a transfer: systemd-networkd, which drops what it did not make, and who adds MPTCP
//! endpoints, as NetworkManager does.

#![allow(clippy::unwrap_used, reason = "a test: what is missing shall fail it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use lab::outage::{by_source, one_per_path, tenths};
use lab::programs::{self, Background, lab_can_run, skipped};
use lab::transfer::{self, Transfer};
use lab::{Isp, Lab};
use nix::sys::signal::Signal;

/// 60 Mbit/s together.
fn isps() -> Vec<Isp> {
    vec![Isp::new(30, 10), Isp::new(20, 40), Isp::new(10, 80)]
}

const NETWORKD: &str = "/lib/systemd/systemd-networkd";

/// networkd for the first site, in a mount namespace of its own, as the manager of its ISPs'
/// devices.
fn networkd(lab: &Lab) -> Background {
    let site = &lab.sites[0];
    let folder = site.home.folder.join("networkd");
    fs::create_dir_all(&folder).unwrap();
    for link in 1..=3 {
        let text = format!(
            "[Match]\nName=isp{link}\n[Network]\nAddress=198.18.{link}.1/32\n\
             LinkLocalAddressing=no\n[Route]\nDestination=0.0.0.0/0\nScope=link\nMetric={}\n",
            100 + link
        );
        fs::write(folder.join(format!("isp{link}.network")), text).unwrap();
    }
    // Without udev it waits for nobody where /sys is read-only, as in a container.
    let script = format!(
        "mount -t sysfs -o ro sys /sys; mount -t tmpfs run /run; mkdir -p /run/systemd/network \
         /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp; \
         chown -R systemd-network: /run/systemd/netif; \
         cp {}/*.network /run/systemd/network; exec {NETWORKD} 2>{}",
        folder.display(),
        folder.join("log").display()
    );
    programs::start(
        site.namespace(),
        "unshare",
        &["--mount", "sh", "-ec", &script],
    )
}

#[test]
fn networkd_starts_and_starts_again_in_the_middle_of_a_transfer() {
    if !lab_can_run() {
        return;
    }
    if !Path::new(NETWORKD).exists() || !nix::unistd::geteuid().is_root() {
        return skipped("systemd-networkd needs its program, its user, and root");
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    lab.start().unwrap();
    let (here, there) = (&lab.sites[0], &lab.sites[1]);
    let (mut next, mut starts, mut running, mut last) = (20, 0, None, BTreeMap::new());
    let outcome = transfer::run(&Transfer::of(110), here, there, |progress| {
        if tenths(progress) >= next && starts < 3 {
            if let Some(former) = running.take() {
                let former: Background = former;
                former.signal(Signal::SIGTERM).unwrap();
            }
            running = Some(networkd(&lab));
            starts += 1;
            next = tenths(progress) + 30;
        }
        last = by_source(progress);
    })
    .unwrap();
    let log = fs::read_to_string(here.home.folder.join("networkd/log")).unwrap_or_default();
    let status = here.home.status().unwrap();
    println!(
        "{:.1} Mbit/s, longest stall {:?}; repairs {:?}; networkd: {}",
        outcome.rate(),
        outcome.longest_stall(),
        status.site.repairs,
        log.lines().rev().take(4).collect::<Vec<_>>().join(" | ")
    );
    assert!(log.contains("isp1"), "it does not run: {log}");
    assert!(outcome.intact, "the data came out different");
    assert_eq!(starts, 3, "the transfer ended before");
    assert_eq!(last, one_per_path(here), "subflows at the end");
    assert!(
        outcome.longest_stall() <= Duration::from_secs(2),
        "it stood still"
    );
    assert_eq!(lab.cleartext(), Vec::<String>::new(), "cleartext at an ISP");
}

/// What NetworkManager does with `connection.mptcp-flags`, on all addresses it knows.
#[test]
fn endpoints_that_somebody_adds_to_every_address_make_no_further_subflow() {
    if !lab_can_run() {
        return;
    }
    let mut lab = Lab::two_sites(&isps()).unwrap();
    lab.start().unwrap();
    let (here, there) = (&lab.sites[0], &lab.sites[1]);
    for site in [here, there] {
        let id = site.id;
        site.namespace().shell(&format!(
            "ip mptcp limits set subflows 8 add_addr_accepted 8
             for k in 1 2 3; do ip mptcp endpoint add 198.18.$k.{id} dev isp$k signal subflow; done
             ip mptcp endpoint add 10.213.{id}.2 dev lo subflow signal fullmesh || true"
        ));
    }
    std::thread::sleep(Duration::from_secs(2));
    let (mut most, mut last) = (BTreeMap::new(), BTreeMap::new());
    let outcome = transfer::run(&Transfer::of(60), here, there, |progress| {
        last = by_source(progress);
        for (source, count) in &last {
            let seen = most.entry(*source).or_insert(0);
            *seen = count.max(seen).to_owned();
        }
    })
    .unwrap();
    println!("{:.1} Mbit/s; at most {most:?}", outcome.rate());
    assert!(outcome.intact, "the data came out different");
    assert_eq!(last, one_per_path(here), "subflows at the end");
    assert_eq!(most, last, "subflows that are nobody's wish");
    assert_eq!(lab.cleartext(), Vec::<String>::new(), "cleartext at an ISP");
}
