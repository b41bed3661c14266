//! A hub with 1, 10 and 100 peers, four paths to each: what an idle path costs in threads, memory
//! and wake-ups, and how soon the command answers. All peers are real daemons; the ISPs are bridges.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use lab::daemon::{Daemon, Home};
use lab::namespace::Namespace;
use pathweaved::names::PrivateKey;

use crate::answers::{self, Answer};
use crate::pathweave::home;

const LINKS: u8 = 4;
const WATCHED: Duration = Duration::from_secs(10);

/// What the hub's daemon uses while nothing is carried.
#[derive(Clone, Copy, Debug)]
struct Idle {
    peers: u8,
    threads: f64,
    descriptors: usize,
    /// kB.
    resident: f64,
    /// Of all threads together.
    wakes_per_s: f64,
    processor: f64,
}

pub fn table() -> anyhow::Result<String> {
    let hubs = [1, 10, 100].map(measure);
    let hubs = hubs.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let mut text =
        "| peers | paths | threads | descriptors | resident | kB per further path | wake-ups/s \
                    | wake-ups/s per path | processor |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
            .to_owned();
    let first = hubs.first().map(|(idle, _)| *idle);
    for (now, _) in &hubs {
        let paths = f64::from(now.peers) * f64::from(LINKS);
        let further = first.filter(|first| first.peers < now.peers).map(|first| {
            let more = paths - f64::from(first.peers) * f64::from(LINKS);
            format!("{:.0}", (now.resident - first.resident) / more)
        });
        text += &format!(
            "| {} | {paths} | {} | {} | {:.1} MB | {} | {:.0} | {:.1} | {:.1} % |\n",
            now.peers,
            now.threads,
            now.descriptors,
            now.resident / 1024.0,
            further.unwrap_or_default(),
            now.wakes_per_s,
            now.wakes_per_s / paths,
            now.processor * 100.0
        );
    }
    let (_, largest) = hubs.last().context("no hub")?;
    text += "\n| answer with the most peers | ms |\n|---|--:|\n";
    for Answer { command, after } in largest {
        text += &format!("| `pathweave {command}` | {} |\n", after.as_millis());
    }
    Ok(text)
}

fn measure(peers: u8) -> anyhow::Result<(Idle, Vec<Answer>)> {
    eprintln!("{peers} peers");
    let folder = tempfile::tempdir()?;
    let star = Star::new(peers, folder.path())?;
    star.hub
        .wait_until("all paths up", Duration::from_secs(120), |status| {
            let mut paths = status.peers.iter().flat_map(|peer| &peer.paths);
            paths.all(|path| path.state == pathweaved::control::PathState::Up)
        });
    std::thread::sleep(Duration::from_secs(5));
    let pid = star.daemons.first().map_or(0, Daemon::pid);
    let before = (wakes(pid), crate::cpu::on_cpu(pid));
    std::thread::sleep(WATCHED);
    let after = (wakes(pid), crate::cpu::on_cpu(pid));
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let idle = Idle {
        peers,
        threads: field(&status, "Threads:"),
        descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
        resident: field(&status, "VmRSS:"),
        wakes_per_s: (after.0 - before.0) / WATCHED.as_secs_f64(),
        processor: (after.1 - before.1).as_secs_f64() / WATCHED.as_secs_f64(),
    };
    Ok((idle, answers::all(&star.hub)?))
}

fn wakes(pid: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let of = |thread: fs::DirEntry| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        field(&status, "voluntary_ctxt_switches:")
    };
    threads.map(of).sum()
}

fn field(status: &str, name: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|rest| rest.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

/// The hub has the id 1, and a fleet file that names all; each peer's names it and the hub.
struct Star {
    hub: Home,
    daemons: Vec<Daemon>,
    _bridges: Namespace,
}

impl Star {
    fn new(peers: u8, folder: &Path) -> anyhow::Result<Self> {
        let bridges = Namespace::new()?;
        let spaces = (0..=peers)
            .map(|_| Namespace::new())
            .collect::<Result<Vec<_>, _>>()?;
        wires(&bridges, &spaces)?;
        let key = |id| PrivateKey::from_bytes([id; 32]);
        let sites: Vec<_> = (1..=peers + 1).map(|id| describe(id, &key(id))).collect();
        let mut homes = Vec::new();
        for (id, space) in (1..).zip(&spaces) {
            let fleet = match id {
                1 => sites.concat(),
                _ => sites[0].clone() + &sites[usize::from(id) - 1],
            };
            let folder = folder.join(id.to_string());
            fs::create_dir(&folder)?;
            homes.push(home(space, &folder, "here", &key(id))?);
            fs::write(folder.join("fleet.toml"), fleet)?;
        }
        let daemons = homes.iter().map(Home::start).collect::<Result<_, _>>()?;
        Ok(Self {
            hub: homes.remove(0),
            daemons,
            _bridges: bridges,
        })
    }
}

fn describe(id: u8, key: &PrivateKey) -> String {
    let link = |k| {
        format!("{{ name = \"l{k}\", interface = \"wan{k}\", endpoint = \"198.18.{k}.{id}\" }}, ")
    };
    let links: String = (1..=LINKS).map(link).collect();
    format!(
        "[site.s-{id}]\nid = {id}\npublic_key = \"{}\"\nlinks = [{links}]\n",
        key.public()
    )
}

/// A bridge per ISP, and a veth from each to each site.
fn wires(bridges: &Namespace, spaces: &[Namespace]) -> anyhow::Result<()> {
    let mut lines = String::new();
    for k in 1..=LINKS {
        lines += &format!("link add br{k} type bridge\nlink set br{k} up\n");
    }
    let mut holders = Vec::new();
    for (id, space) in (1u8..).zip(spaces) {
        let holder = space.command("sleep")?.arg("infinity").spawn()?;
        for k in 1..=LINKS {
            lines += &format!(
                "link add p{id}-{k} type veth peer name wan{k} netns {}\n\
                 link set p{id}-{k} master br{k} up\n",
                holder.id()
            );
        }
        holders.push(holder);
    }
    batch(bridges, &lines)?;
    for (id, space) in (1u8..).zip(spaces) {
        let of = |k| format!("addr add 198.18.{k}.{id}/24 dev wan{k}\nlink set wan{k} up\n");
        batch(space, &(1..=LINKS).map(of).collect::<String>())?;
    }
    for mut holder in holders {
        holder.kill()?;
        holder.wait()?;
    }
    Ok(())
}

fn batch(space: &Namespace, lines: &str) -> anyhow::Result<()> {
    let mut ip = space
        .command("ip")?
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = ip.stdin.take() {
        stdin.write_all(lines.as_bytes())?;
    }
    ensure!(ip.wait()?.success(), "ip -batch failed");
    Ok(())
}
