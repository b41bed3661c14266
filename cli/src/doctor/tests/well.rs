//! Two sites, two paths, and nothing to complain of.

use std::collections::BTreeMap;

use pathweaved::control::{
    Dropped, Offload, PathDiagnosis, PathState, PathStatus, PeerStatus, SCHEMA, SiteDiagnosis,
    SiteStatus, Status,
};

use super::super::facts::{Clock, Daemon, Facts, Kernel, Machine};

fn a_path(number: u8) -> PathStatus {
    PathStatus {
        path: number,
        state: PathState::Up,
        reason: None,
        link: format!("isp{number}"),
        remote_link: format!("wan{number}"),
        interface: format!("pw-tainan-{number}"),
        overlay_address: Some(format!("10.213.1.{number}")),
        overlay_address6: None,
        endpoint: Some(format!("198.51.100.{number}:51820")),
        carrier: "udp".to_owned(),
        rtt_ms: Some(10.0),
        loss: Some(0.0),
        jitter_ms: Some(1.0),
        loss_rx: Some(0.0),
        loss_tx: Some(0.0),
        since_s: 6000,
        flaps: 0,
        held_up_s: None,
        reserve: None,
        site_path: number == 1,
        mtu: 1420,
        last_handshake_s: Some(5),
        last_handshake_unix_s: None,
        metered: false,
        tx_bytes: 0,
        rx_bytes: 0,
        subflows: 3,
        dropped: Dropped::default(),
        offload: Offload {
            tun: true,
            send_segments: 64,
            receive: true,
            socket_buffer: 4 << 20,
        },
        diagnosis: PathDiagnosis {
            trouble: None,
            device: Some(format!("eth{number}")),
            heard: 100,
            handshakes: 1,
            refused: 0,
            mtu_hoped: 1420,
            stated: [None, None],
            peak: [0, 0],
        },
    }
}

pub(super) fn well() -> Facts {
    let site = SiteStatus {
        name: "nara".to_owned(),
        listen_port: 51820,
        speed_test: true,
        id: 1,
        address: Some("10.213.1.1".to_owned()),
        address6: None,
        public_key: String::new(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        warnings: Vec::new(),
        strangers: 0,
        path_manager: "userspace".to_owned(),
        healing: Default::default(),
        repairs: BTreeMap::new(),
        fallbacks: BTreeMap::new(),
        diagnosis: SiteDiagnosis {
            running_s: 9000,
            network_namespace: Some(7),
            leak_guard: Some(true),
            ..SiteDiagnosis::default()
        },
    };
    let peer = PeerStatus {
        site: "tainan".to_owned(),
        id: 2,
        address: Some("10.213.2.1".to_owned()),
        address6: None,
        reachable: true,
        plain_tcp: 0,
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        paths: vec![a_path(1), a_path(2)],
    };
    let sysctl = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Facts {
        daemon: Daemon::Running(Box::new(Status {
            schema: SCHEMA,
            site,
            peers: vec![peer],
        })),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        replaced: false,
        kernel: Kernel {
            release: "6.12.48+deb13-amd64".to_owned(),
            is_6_12: true,
            sysctls: [
                sysctl("net.ipv4.tcp_rmem", "4096 8388608 16777216"),
                sysctl("net.ipv4.tcp_wmem", "4096 16384 16777216"),
                sysctl("net.ipv4.conf.all.rp_filter", "0"),
                sysctl("net.ipv4.conf.eth1.rp_filter", "0"),
                sysctl("net.ipv4.conf.eth2.rp_filter", "2"),
            ]
            .into(),
            filtered: 0,
            default_routes: [["eth1".to_owned(), "eth2".to_owned()].into(), [].into()],
            namespace: Some(7),
            first_namespace: Some(7),
        },
        machine: Machine {
            memory: 8_000_000_000,
            ..Machine::default()
        },
        clock: Clock {
            now: 1_800_000_000,
            future: None,
        },
        unseen: Vec::new(),
    }
}
