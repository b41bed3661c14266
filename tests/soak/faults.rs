//! The faults that rain, and how each is repaired.

use std::io;

use lab::Lab;
use lab::daemon::Daemon;
use lab::impairment::Settings;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// What may happen to the opener's site.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    Silence(usize),
    AllSilent,
    Loss(usize),
    Delay(usize),
    /// Large packets are swallowed.
    Small(usize),
    Device(usize),
    Crash,
    Restart,
    Removal,
    Rules,
    Routes,
    Guard,
    Tun,
}

impl Fault {
    pub fn random(random: &mut ChaCha8Rng) -> Self {
        let path = random.next_u32() as usize % 3;
        match random.next_u32() % 20 {
            0..=4 => Self::Silence(path),
            5 => Self::AllSilent,
            6 | 7 => Self::Loss(path),
            8 | 9 => Self::Delay(path),
            10 | 11 => Self::Small(path),
            12 => Self::Device(path),
            13 => Self::Crash,
            14 => Self::Restart,
            15 => Self::Removal,
            16 => Self::Rules,
            17 => Self::Routes,
            18 => Self::Guard,
            _ => Self::Tun,
        }
    }
}

/// The site to which it happens.
#[derive(Debug)]
pub struct Victim<'l> {
    pub lab: &'l Lab,
    pub daemon: Option<Daemon>,
    /// Its default routes, which go with their devices.
    pub routes: Vec<String>,
}

impl<'l> Victim<'l> {
    pub fn new(lab: &'l Lab, daemon: Option<Daemon>) -> Self {
        let site = &lab.sites[0];
        let route = |link: usize| {
            let line = format!("ip route show default dev isp{link}");
            site.namespace().shell(&line).trim().to_owned()
        };
        let routes = (1..=site.links.len()).map(route).collect();
        Self {
            lab,
            daemon,
            routes,
        }
    }
}

impl Victim<'_> {
    /// Lets it happen (`on`), or repairs it. What the daemon has to put right is not repaired.
    pub fn set(&mut self, fault: Fault, on: bool) -> io::Result<()> {
        let site = &self.lab.sites[0];
        let line = |path: usize, change: &dyn Fn(&mut Settings)| site.links[path].set(change);
        let shell = |text: &str| drop(site.namespace().shell(text));
        match fault {
            Fault::Silence(path) => site.links[path].blackhole(on),
            Fault::AllSilent => site.links.iter().for_each(|link| link.blackhole(on)),
            Fault::Loss(path) => line(path, &|line| line.loss = if on { 0.1 } else { 0.0 }),
            Fault::Delay(path) => line(path, &|line| {
                let more = std::time::Duration::from_millis(150);
                line.delay = if on {
                    line.delay + more
                } else {
                    line.delay - more
                };
            }),
            Fault::Small(path) => line(path, &|line| {
                line.largest = if on { 1392 } else { usize::MAX };
            }),
            Fault::Device(path) => {
                let name = format!("isp{}", path + 1);
                let route = &self.routes[path];
                shell(&if on {
                    format!("ip link set {name} down")
                } else {
                    format!("ip link set {name} up; ip route replace {route} dev {name}")
                });
            }
            Fault::Crash if on => self.restart(Daemon::kill)?,
            Fault::Restart if on => self.restart(Daemon::stop)?,
            Fault::Removal => {
                let what = if on { "remove" } else { "add" };
                let file = site.home.folder.with_file_name("fleet.toml");
                let file = file.display().to_string();
                let pair = ["path", what, "nara/isp3", "tainan/isp3", "--config", &file];
                site.home.cli(&pair)?;
                self.lab.sites[1].home.cli(&["reload"])?;
            }
            Fault::Rules if on => {
                shell("for n in 5182 5183; do ip rule del priority $n || true; done");
            }
            Fault::Routes if on => shell("ip route flush proto 183"),
            Fault::Guard if on => shell("nft flush ruleset"),
            Fault::Tun if on => shell("ip link del pw-tainan-1 || true"),
            Fault::Crash
            | Fault::Restart
            | Fault::Rules
            | Fault::Routes
            | Fault::Guard
            | Fault::Tun => {}
        }
        Ok(())
    }

    fn restart(&mut self, end: fn(Daemon) -> io::Result<()>) -> io::Result<()> {
        if let Some(former) = self.daemon.take() {
            end(former)?;
        }
        let home = &self.lab.sites[0].home;
        self.daemon = Some(home.start_with(&["--keep-on-stop"])?);
        Ok(())
    }
}
