//! The explicit `[[path]]` entries.

use std::ops::Range;

use crate::config::checked::{Pairing, SiteKind};
use crate::config::problem::Problem;
use crate::config::section::{At, Section};

use super::{KEYS, site};

const REMEDY: &str = "name two links: between = [\"nara/fiber\", \"tainan/fiber\"]";

/// A site and one of its links, by their places among the drafts.
type End = (usize, usize);

/// What a path's ends are looked up in.
struct Known<'d, 't> {
    sites: &'d [site::Draft<'t>],
    /// Of all sites, also of those that could not be read at all.
    names: Vec<&'t str>,
}

/// A `[[path]]`, in the order of the sites.
pub(super) struct Draft {
    pub(super) ends: [End; 2],
    pub(super) place: Range<usize>,
}

impl Draft {
    pub(super) fn sites(&self) -> (usize, usize) {
        let [(a, _), (b, _)] = self.ends;
        (a, b)
    }
}

/// `None` if one of them could not be read, so that it is not known what pairs with what.
pub(super) fn read<'t>(
    file: &Section<'t, '_>,
    sites: &[site::Draft<'t>],
    problems: &mut Vec<Problem>,
) -> Option<Vec<Draft>> {
    if !file.has("path") {
        return Some(Vec::new());
    }
    let names = file.names("site");
    let known = Known { sites, names };
    let before = problems.len();
    let mut drafts: Vec<Draft> = Vec::new();
    let mut all = true;
    for (table, place) in file.tables("path", problems)? {
        let section = Section::new(table, place, "a path", KEYS[3].1, problems);
        let Some(ends) = ends(&section, &known, problems) else {
            all = false;
            continue;
        };
        let place = section.place();
        let draft = Draft { ends, place };
        match mistake(&draft, &drafts, sites) {
            Some(problem) => problems.push(problem),
            None => drafts.push(draft),
        }
    }
    (all && problems.len() == before).then_some(drafts)
}

/// `None` if a site or a link of them is wrong, which is told already.
pub(super) fn finish(drafts: &[Draft], sites: &[site::Draft<'_>]) -> Option<Vec<Pairing>> {
    let end = |(site, link): End| {
        let (id, _) = sites.get(site)?.id.as_ref()?;
        Some((*id, link))
    };
    let pairing = |draft: &Draft| {
        let [a, b] = draft.ends;
        let mut between = [end(a)?, end(b)?];
        between.sort_unstable();
        Some(Pairing { between })
    };
    drafts.iter().map(pairing).collect()
}

fn ends(
    section: &Section<'_, '_>,
    known: &Known<'_, '_>,
    problems: &mut Vec<Problem>,
) -> Option<[End; 2]> {
    section.missing("between", REMEDY, problems);
    let before = problems.len();
    let texts = section.texts("between", problems)?;
    if texts.len() != 2 && problems.len() == before {
        let what = format!("a path has two ends, not {}", texts.len());
        problems.push(Problem::new(section.place_of("between"), what, REMEDY));
    }
    // Both are looked up, though the first be wrong.
    let read = |at| end(at, known, problems);
    let ends: Vec<Option<End>> = texts.into_iter().map(read).collect();
    let [Some(a), Some(b)] = ends.as_slice() else {
        return None;
    };
    let mut ends = [*a, *b];
    ends.sort_unstable();
    Some(ends)
}

fn end((text, place): At<&str>, known: &Known<'_, '_>, problems: &mut Vec<Problem>) -> Option<End> {
    match find(text, known) {
        Ok(end) => end,
        Err((what, remedy)) => {
            problems.push(Problem::new(place, what, remedy));
            None
        }
    }
}

/// `None` if it is, or may be, one that could not be read.
fn find(text: &str, known: &Known<'_, '_>) -> Result<Option<End>, (String, String)> {
    let sites = known.sites;
    let Some((site, link)) = text.split_once('/') else {
        let remedy = "write site/link, for example \"nara/fiber\"";
        return Err((format!("{text:?} names no link"), remedy.to_owned()));
    };
    let named = |(_, draft): &(usize, &site::Draft<'_>)| draft.text == site;
    let Some((at, draft)) = sites.iter().enumerate().find(named) else {
        if known.names.contains(&site) {
            return Ok(None);
        }
        let remedy = format!("the sites are: {}", known.names.join(", "));
        return Err((format!("no site is called {site:?}"), remedy));
    };
    if let Some(index) = draft.links.iter().position(|of| of.text == Some(link)) {
        return Ok(Some((at, index)));
    }
    if !draft.all_links {
        return Ok(None);
    }
    let links: Vec<_> = draft.links.iter().filter_map(|link| link.text).collect();
    let remedy = format!("its links are: {}", links.join(", "));
    Err((format!("site {site} has no link {link:?}"), remedy))
}

fn mistake(draft: &Draft, before: &[Draft], sites: &[site::Draft<'_>]) -> Option<Problem> {
    let refuse = |what: &str, remedy: &str| Problem::new(draft.place.clone(), what, remedy);
    let (a, b) = draft.sites();
    let plain = |site| {
        let kind = sites
            .get(site)
            .and_then(|draft: &site::Draft<'_>| draft.kind);
        kind == Some(SiteKind::WireGuard)
    };
    if a == b {
        return Some(refuse("both ends of the path are at one site", REMEDY));
    }
    if plain(a) && plain(b) {
        let what = "pathweaved runs at neither end of the path";
        return Some(refuse(what, "one of the sites must be of kind pathweave"));
    }
    if let Some(first) = before.iter().find(|first| first.ends == draft.ends) {
        let problem = refuse(
            "this path stands in the file already",
            "pair other links, or remove it",
        );
        return Some(problem.after(first.place.clone()));
    }
    // To a plain wg interface we are one peer, with one session.
    let shares = |first: &&Draft| {
        let same = first.sites() == draft.sites();
        let ends = first.ends.iter().zip(&draft.ends);
        same && ends.into_iter().any(|(x, y)| x == y && plain(x.0))
    };
    let first = before.iter().find(shares)?;
    let what = "two paths between two sites end at one plain wg interface";
    let remedy = "a wg interface takes one path from each site: add an interface and a link \
                  there, or remove this path";
    Some(refuse(what, remedy).after(first.place.clone()))
}
