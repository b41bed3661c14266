//! From what the file says to what it means. Each rule of the file stands here, with its remedy.
//!
//! [`site`], [`link`] and [`pairing`] read drafts, in which what was wrong is missing; then come
//! the rules between drafts: [`twice`], [`sockets`], [`outside`], [`count`].

mod address;
mod count;
mod key;
mod link;
mod metrics;
mod outside;
mod overlay;
mod pairing;
mod site;
mod sockets;
mod twice;

use std::ops::Range;

use toml::de::{DeTable, Error};

use super::checked::{Fleet, PathManagerWish, SiteKind};
use super::problem::Problem;
use super::secret;
use super::section::Section;

/// All keys that the file may hold, by table: what the reference example must explain.
pub const KEYS: [(&str, &[&str]); 4] = [
    (
        "the file",
        &[
            "overlay",
            "listen_port",
            "leak_guard",
            "metrics",
            "path_manager",
            "speed_test",
            "site",
            "path",
        ],
    ),
    (
        "a site",
        &["id", "public_key", "kind", "subnets", "metrics", "links"],
    ),
    (
        "a link",
        &[
            "name",
            "interface",
            "source",
            "endpoint",
            "cost",
            "up",
            "down",
            "mtu",
            "offload",
            "public_key",
        ],
    ),
    ("a path", &["between"]),
];

const DEFAULT_PORT: u16 = 51_820;
const NO_SITE: &str = "the file describes no site";
const EACH_SITE: &str = "describe each site in a table of its own: [site.nara]";

pub(super) fn fleet(text: &str) -> Result<Fleet, Vec<Problem>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // What the rest of the file says is not sure then.
        return Err(syntax(text, &errors));
    }
    let mut problems = Vec::new();
    let file = Section::new(root.get_ref(), 0..0, "the file", KEYS[0].1, &mut problems);
    let overlay = overlay::read(&file, &mut problems);
    let listen_port = listen_port(&file, &mut problems);
    let leak_guard = file.boolean("leak_guard", &mut problems);
    let speed_test = file.boolean("speed_test", &mut problems);
    let metrics = metrics::read(&file, &mut problems);
    let path_manager = path_manager(&file, &mut problems);
    let sites = sites(&file, listen_port, &mut problems);
    twice::check(&sites, &mut problems);
    sites
        .iter()
        .for_each(|site| sockets::check(site, &mut problems));
    outside::check(&sites, overlay, &mut problems);
    let pairings = pairing::read(&file, &sites, &mut problems);
    if let Some(pairings) = &pairings {
        count::check(&sites, pairings, &mut problems);
    }
    let pairings = pairings.and_then(|drafts| pairing::finish(&drafts, &sites));
    let finished = sites.into_iter().map(site::Draft::finish);
    let finished: Option<Vec<_>> = finished.collect();
    match (overlay, pairings, finished) {
        (Some(overlay), Some(pairings), Some(sites)) if problems.is_empty() => Ok(Fleet {
            overlay,
            listen_port,
            leak_guard: leak_guard.is_none_or(|(guard, _)| guard),
            metrics,
            path_manager,
            speed_test: speed_test.is_none_or(|(served, _)| served),
            sites: sites.into_iter().map(|site| (site.id, site)).collect(),
            pairings,
        }),
        _ => Err(problems),
    }
}

/// One error for each line: what the parser stumbles over further on in it is mostly the same
/// mistake.
fn syntax(text: &str, errors: &[Error]) -> Vec<Problem> {
    let shown = secret::masked(text);
    let mut places: Vec<_> = errors
        .iter()
        .map(|error| (error.span().unwrap_or(0..0), error.message().trim()))
        .collect();
    places.sort_by_key(|(place, _)| place.start);
    let line = |place: &Range<usize>| text.get(..place.start).and_then(|t| t.rfind('\n'));
    places.dedup_by_key(|(place, _)| line(place));
    let problem = |(place, message): (Range<usize>, &str)| {
        let remedy = if secret::stands_at(text, &shown, &place) {
            secret::PRIVATE_KEY
        } else {
            "mend the TOML here; see toml.io"
        };
        Problem::new(place, message, remedy)
    };
    places.into_iter().map(problem).collect()
}

fn listen_port(file: &Section<'_, '_>, problems: &mut Vec<Problem>) -> u16 {
    let Some((port, place)) = file.integer("listen_port", problems) else {
        return DEFAULT_PORT;
    };
    match u16::try_from(port) {
        Ok(port) if port > 0 => port,
        Ok(_) | Err(_) => {
            let remedy = "write a UDP port from 1 to 65535, or leave the key out for 51820";
            problems.push(Problem::new(place, format!("{port} is no port"), remedy));
            DEFAULT_PORT
        }
    }
}

fn path_manager(file: &Section<'_, '_>, problems: &mut Vec<Problem>) -> PathManagerWish {
    match file.text("path_manager", problems) {
        None | Some(("auto", _)) => PathManagerWish::Auto,
        Some(("kernel", _)) => PathManagerWish::Kernel,
        Some(("userspace", _)) => PathManagerWish::UserSpace,
        Some((other, place)) => {
            let what = format!("there is no path manager {other:?}");
            let remedy =
                "write \"auto\", \"kernel\" or \"userspace\", or leave the key out for \"auto\"";
            problems.push(Problem::new(place, what, remedy));
            PathManagerWish::Auto
        }
    }
}

/// In the order of the file.
fn sites<'t>(
    file: &Section<'t, '_>,
    port: u16,
    problems: &mut Vec<Problem>,
) -> Vec<site::Draft<'t>> {
    if !file.has("site") {
        problems.push(Problem::new(0..0, NO_SITE, EACH_SITE));
    }
    let Some(tables) = file.named_tables("site", "a table: [site.nara]", problems) else {
        return Vec::new();
    };
    if tables.is_empty() {
        problems.push(Problem::new(file.place_of("site"), NO_SITE, EACH_SITE));
    }
    let read = |(name, table): (_, Option<_>)| Some(site::read(name, table?, port, problems));
    let sites: Vec<_> = tables.into_iter().filter_map(read).collect();
    let plain = |site: &site::Draft<'_>| site.kind == Some(SiteKind::WireGuard);
    if let ([first, ..], true) = (sites.as_slice(), sites.iter().all(plain)) {
        let what = "every site is of kind \"wireguard\": pathweaved runs at none";
        let remedy = "remove `kind` where pathweaved runs";
        problems.push(Problem::new(first.kind_place.clone(), what, remedy));
    }
    sites
}
