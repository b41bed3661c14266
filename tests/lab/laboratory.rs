//! Two, three or more sites with their ISPs, a fleet file and keys, ready to be started.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::daemon::{Daemon, Home};
use crate::folder::Folder;
use crate::impairment::{Impairment, Settings};
use crate::internet::{Access, Internet};
use crate::namespace::Namespace;
use pathweaved::names::PrivateKey;

/// One ISP, alike at every site.
#[derive(Clone, Copy, Debug)]
pub struct Isp {
    /// Mbit/s of IP packets, each way.
    pub rate: u64,
    /// Between two sites of this ISP.
    pub round_trip: Duration,
    pub loss: f64,
}

impl Isp {
    pub const fn new(rate: u64, round_trip_ms: u64) -> Self {
        Self {
            rate,
            round_trip: Duration::from_millis(round_trip_ms),
            loss: 0.0,
        }
    }

    pub fn with_loss(self, loss: f64) -> Self {
        Self { loss, ..self }
    }

    /// Up and down: the rate is that of the way up; each way of the round trip has two links.
    fn lines(self, seed: u64) -> [Impairment; 2] {
        let rate = self.rate * 1_000_000;
        let delay = self.round_trip / 4;
        // Half a round trip and 30 ms of queue: neither starved nor bloated.
        let wait = self.round_trip.as_secs_f64() / 2.0 + 0.03;
        let queue = (rate as f64 / 8.0 * wait) as usize;
        let up = Settings {
            rate: Some(rate),
            delay,
            queue,
            loss: self.loss,
            ..Settings::default()
        };
        let down = Settings {
            delay,
            ..Settings::default()
        };
        [Impairment::new(up, seed), Impairment::new(down, seed + 1)]
    }
}

#[derive(Debug)]
pub struct Site {
    pub name: String,
    pub id: u8,
    pub home: Home,
    pub links: Vec<Arc<Access>>,
    pub daemon: Option<Daemon>,
}

#[derive(Debug)]
pub struct Lab {
    pub sites: Vec<Site>,
    pub isps: Vec<Isp>,
    internet: Internet,
    folder: Folder,
}

/// Sites are called so, in order of their ids.
const NAMES: [&str; 3] = ["nara", "tainan", "oslo"];

impl Lab {
    pub fn two_sites(isps: &[Isp]) -> io::Result<Self> {
        Self::new(2, isps, Family::V4, "")
    }

    pub fn three_sites(isps: &[Isp]) -> io::Result<Self> {
        Self::new(3, isps, Family::V4, "")
    }

    /// `sites` sites with the same ISPs. `outer`: family of the endpoints. `top`: more lines for
    /// the top of the fleet file.
    pub fn new(sites: u8, isps: &[Isp], outer: Family, top: &str) -> io::Result<Self> {
        let folder = Folder::new()?;
        let internet = Internet::default();
        let mut fleet = format!("{top}\n");
        let mut made = Vec::new();
        for (id, name) in (1..=sites).zip(NAMES) {
            let key = random_key()?;
            fleet += &describe(id, name, &key, isps.len() as u8, outer);
            made.push(site(&internet, folder.path(), id, name, &key, isps)?);
        }
        fs::write(folder.path().join("fleet.toml"), fleet)?;
        Ok(Self {
            sites: made,
            isps: isps.to_vec(),
            internet,
            folder,
        })
    }

    /// Changes the fleet file's text, before the daemons are started.
    pub fn edit_fleet(&self, edit: impl FnOnce(String) -> String) -> io::Result<()> {
        let path = self.folder.path().join("fleet.toml");
        fs::write(&path, edit(fs::read_to_string(&path)?))
    }

    /// Starts every site's daemon and waits until all paths are up.
    pub fn start(&mut self) -> io::Result<()> {
        for site in &mut self.sites {
            site.daemon = Some(site.home.start()?);
        }
        for site in &self.sites {
            site.home.wait_until_all_up();
        }
        Ok(())
    }

    /// An ISP that delivers packets for `address` to a link of a site: a hostile one.
    pub fn route_overlay(&self, address: IpAddr, site: usize, link: usize) {
        self.internet.route(address, &self.sites[site].links[link]);
    }

    /// Processor time of all links together.
    pub fn emulation(&self) -> Duration {
        let links = self.sites.iter().flat_map(|site| &site.links);
        links.map(|access| access.used()).sum()
    }

    /// Every packet that an ISP saw and should not have.
    pub fn cleartext(&self) -> Vec<String> {
        let mut seen = Vec::new();
        for site in &self.sites {
            for (number, access) in (1..).zip(&site.links) {
                let lines = access.capture().cleartext.into_iter();
                seen.extend(lines.map(|line| format!("{} isp{number}: {line}", site.name)));
            }
        }
        seen
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl Site {
    /// The site address.
    pub fn address(&self, family: Family) -> IpAddr {
        self.overlay_address(family, 1)
    }

    pub fn overlay_address(&self, family: Family, path: u8) -> IpAddr {
        let v6 = [
            0xfd50,
            0x7761,
            0x7665,
            u16::from(self.id),
            0,
            0,
            0,
            u16::from(path),
        ];
        match family {
            Family::V4 => Ipv4Addr::new(10, 213, self.id, path).into(),
            Family::V6 => Ipv6Addr::from(v6).into(),
        }
    }

    pub fn namespace(&self) -> &Namespace {
        &self.home.namespace
    }
}

/// Outer addresses of a site's link, both counted from 1.
pub fn outer(link: u8, site: u8) -> (Ipv4Addr, Ipv6Addr) {
    let v6 = [0x2001, 0xdb8, u16::from(link), 0, 0, 0, 0, u16::from(site)];
    (Ipv4Addr::new(198, 18, link, site), Ipv6Addr::from(v6))
}

fn site(
    internet: &Internet,
    folder: &Path,
    id: u8,
    name: &str,
    key: &PrivateKey,
    isps: &[Isp],
) -> io::Result<Site> {
    let namespace = Namespace::new()?;
    let folder = folder.join(name);
    fs::create_dir(&folder)?;
    let key_file = folder.join("private.key");
    fs::write(&key_file, key.to_text().as_str())?;
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600))?;
    let attach = |(number, isp): (u8, &Isp)| {
        let lines = isp.lines(u64::from(id) * 1000 + u64::from(number) * 10);
        let (name, metric) = (format!("isp{number}"), 100 + u32::from(number));
        internet.attach(&namespace, &name, outer(number, id), metric, lines)
    };
    let links = (1..).zip(isps).map(attach).collect::<io::Result<_>>()?;
    let home = Home { namespace, folder };
    Ok(Site {
        name: name.to_owned(),
        id,
        home,
        links,
        daemon: None,
    })
}

fn describe(id: u8, name: &str, key: &PrivateKey, links: u8, family: Family) -> String {
    let link = |number| {
        let (v4, v6) = outer(number, id);
        let endpoint = match family {
            Family::V4 => v4.to_string(),
            Family::V6 => format!("[{v6}]"),
        };
        format!(
            "  {{ name = \"isp{number}\", interface = \"isp{number}\", endpoint = \"{endpoint}\" }},\n"
        )
    };
    let links: String = (1..=links).map(link).collect();
    let key = key.public();
    format!("[site.{name}]\nid = {id}\npublic_key = \"{key}\"\nlinks = [\n{links}]\n\n")
}

fn random_key() -> io::Result<PrivateKey> {
    let mut bytes = [0; 32];
    io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(PrivateKey::from_bytes(bytes))
}
