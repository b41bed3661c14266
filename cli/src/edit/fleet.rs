//! A fleet file's text → the text with a site or a path more or less. Comments and order stay.
//! Whether the outcome is a good fleet file is for the check to say.

use pathweaved::config::{Fleet, Peer, Site};
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value};

use crate::near;

/// What cannot be done to the text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EditError {
    #[error("the fleet file is not TOML: run `pathweave check`")]
    NotToml,
    #[error("{0} is in the fleet file already: use another name, or edit the file")]
    Twice(String),
    #[error("the fleet file has no site {asked:?}{hint}; it has {known}")]
    NoSite {
        asked: String,
        hint: String,
        known: String,
    },
    #[error("write the links as SITE/LINK, for example nara/fiber, not {0:?}")]
    NotALink(String),
    #[error("site {site} has no link {asked:?}{hint}; it has {known}")]
    NoLink {
        site: String,
        asked: String,
        hint: String,
        known: String,
    },
    #[error("{0} and {1} make a path already")]
    PathTwice(String, String),
    #[error("{0} and {1} make no path: see `pathweave path list`")]
    NoPath(String, String),
    #[error(
        "{0} would have no path to {1} any more: remove the site (`pathweave peer remove`), or \
         take the path down (`pathweave path down`)"
    )]
    LastPath(String, String),
    #[error("write a link as NAME,key=value,…, for example fiber,interface=eth1, not {0:?}")]
    NotKeys(String),
    #[error("`{0}` in the fleet file is written in a way that is not edited here: edit the file")]
    Unusual(&'static str),
}

/// A site to be written.
#[derive(Debug)]
pub(crate) struct NewSite<'a> {
    pub(crate) name: &'a str,
    pub(crate) id: u8,
    pub(crate) public_key: &'a str,
    pub(crate) links: &'a [String],
    pub(crate) subnets: &'a [String],
}

fn document(text: &str) -> Result<DocumentMut, EditError> {
    text.parse().map_err(|_| EditError::NotToml)
}

fn sites(document: &mut DocumentMut) -> Result<&mut Table, EditError> {
    let none = || {
        let mut sites = Table::new();
        sites.set_implicit(true);
        Item::Table(sites)
    };
    let sites = document.entry("site").or_insert_with(none).as_table_mut();
    sites.ok_or(EditError::Unusual("site"))
}

pub(crate) fn add_site(text: &str, new: &NewSite<'_>) -> Result<String, EditError> {
    let mut document = document(text)?;
    // Behind the other sites, before the paths.
    let last = sites(&mut document)?
        .iter()
        .filter_map(|(_, site)| site.as_table()?.position())
        .max();
    let sites = sites(&mut document)?;
    if sites.contains_key(new.name) {
        return Err(EditError::Twice(format!("site {}", new.name)));
    }
    let mut site = Table::new();
    site.insert("id", i64::from(new.id).into());
    site.insert("public_key", new.public_key.into());
    if !new.subnets.is_empty() {
        site.insert("subnets", Array::from_iter(new.subnets).into());
    }
    let mut links = Array::new();
    for link in new.links {
        let mut link = Value::from(inline(link)?);
        link.decor_mut().set_prefix("\n  ");
        links.push_formatted(link);
    }
    links.set_trailing_comma(true);
    links.set_trailing("\n");
    site.insert("links", links.into());
    site.decor_mut().set_prefix("\n");
    site.set_position(last);
    sites.insert(new.name, Item::Table(site));
    Ok(document.to_string())
}

/// `fiber,interface=eth1,mtu=1400` → `{ name = "fiber", interface = "eth1", mtu = 1400 }`
fn inline(link: &str) -> Result<InlineTable, EditError> {
    let wrong = || EditError::NotKeys(link.to_owned());
    let mut parts = link.split(',').map(str::trim);
    let mut table = InlineTable::new();
    let name = parts
        .next()
        .filter(|name| !name.is_empty() && !name.contains('='));
    table.insert("name", name.ok_or_else(wrong)?.into());
    for part in parts {
        let (key, text) = part.split_once('=').ok_or_else(wrong)?;
        let value = match (text.parse::<i64>(), text.parse::<bool>()) {
            (Ok(number), _) => number.into(),
            (_, Ok(yes)) => yes.into(),
            (Err(_), Err(_)) => Value::from(text),
        };
        // `source` may be given twice, one for each family.
        match table.get_mut(key) {
            None => drop(table.insert(key, value)),
            Some(Value::Array(all)) => all.push(value),
            Some(one) => {
                let first = one.clone();
                *one = Value::from(Array::from_iter([first, value]));
            }
        }
    }
    Ok(table)
}

pub(super) fn remove_site(text: &str, fleet: &Fleet, name: &str) -> Result<String, EditError> {
    let mut document = document(text)?;
    let site = site(fleet, name)?;
    sites(&mut document)?.remove(site.name.as_str());
    let names_it = |end: &str| end.split('/').next() == Some(name);
    keep_paths(&mut document, |ends| !ends.iter().any(|end| names_it(end)))?;
    Ok(document.to_string())
}

pub(super) fn add_path(text: &str, fleet: &Fleet, pair: [&str; 2]) -> Result<String, EditError> {
    let mut document = document(text)?;
    let ends = ends(fleet, pair)?;
    if paths(fleet, &ends)
        .iter()
        .any(|there| is_same(there, &ends))
    {
        let [a, b] = pair.map(str::to_owned);
        return Err(EditError::PathTwice(a, b));
    }
    spell_out(&mut document, fleet, &ends)?;
    push_path(&mut document, &[pair[0].to_owned(), pair[1].to_owned()])?;
    Ok(document.to_string())
}

pub(super) fn remove_path(text: &str, fleet: &Fleet, pair: [&str; 2]) -> Result<String, EditError> {
    let mut document = document(text)?;
    let ends = ends(fleet, pair)?;
    let there = paths(fleet, &ends);
    if !there.iter().any(|other| is_same(other, &ends)) {
        let [a, b] = pair.map(str::to_owned);
        return Err(EditError::NoPath(a, b));
    }
    if there.len() == 1 {
        let [a, b] = ends.map(|(site, _)| site.name.to_string());
        return Err(EditError::LastPath(a, b));
    }
    spell_out(&mut document, fleet, &ends)?;
    let removed = ends.map(|(site, link)| format!("{}/{link}", site.name));
    keep_paths(&mut document, |ends| !is_same(ends, &removed))?;
    Ok(document.to_string())
}

/// A site and one of its links' name.
type End<'f> = (&'f Site, &'f str);

fn site<'f>(fleet: &'f Fleet, name: &str) -> Result<&'f Site, EditError> {
    let found = fleet.sites.values().find(|site| site.name.as_str() == name);
    found.ok_or_else(|| EditError::NoSite {
        asked: name.to_owned(),
        hint: near::hint(name, fleet.sites.values().map(|site| site.name.as_str())),
        known: list(fleet.sites.values().map(|site| site.name.as_str())),
    })
}

fn ends<'f>(fleet: &'f Fleet, pair: [&str; 2]) -> Result<[End<'f>; 2], EditError> {
    let end = |text: &str| {
        let (name, asked) = text
            .split_once('/')
            .ok_or_else(|| EditError::NotALink(text.to_owned()))?;
        let site = site(fleet, name)?;
        let mut names = site.links.iter().map(|link| link.name.as_str());
        let link = names.find(|link| *link == asked);
        let link = link.ok_or_else(|| EditError::NoLink {
            site: name.to_owned(),
            asked: asked.to_owned(),
            hint: near::hint(asked, site.links.iter().map(|link| link.name.as_str())),
            known: list(site.links.iter().map(|link| link.name.as_str())),
        })?;
        Ok((site, link))
    };
    let [a, b] = pair;
    Ok([end(a)?, end(b)?])
}

fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// All paths between the sites of two ends, explicit or by order.
fn paths<'f>(fleet: &'f Fleet, [(a, _), (b, _)]: &[End<'f>; 2]) -> Vec<[End<'f>; 2]> {
    let key = a
        .links
        .first()
        .and_then(|link| link.public_key)
        .unwrap_or(a.public_key);
    let view = fleet.view(&key).or_else(|_| fleet.view(&b.public_key));
    let Ok(view) = view else {
        return Vec::new();
    };
    let (here, there) = if view.site.id == a.id {
        (*a, *b)
    } else {
        (*b, *a)
    };
    let named = |site: &'f Site, index: usize| Some((site, site.links.get(index)?.name.as_str()));
    let peer = view.peer(there.id);
    let all = peer
        .map(|peer: &Peer| peer.paths.as_slice())
        .unwrap_or_default();
    all.iter()
        .filter_map(|path| Some([named(here, path.link)?, named(there, path.remote_link)?]))
        .collect()
}

/// In either order.
fn is_same<T: PartialEq>(one: &[T; 2], other: &[T; 2]) -> bool {
    let [a, b] = one;
    one == other || (*b == other[0] && *a == other[1])
}

/// One explicit path is the end of those that go by the links' order: they are written down
/// before.
fn spell_out(
    document: &mut DocumentMut,
    fleet: &Fleet,
    ends: &[End<'_>; 2],
) -> Result<(), EditError> {
    let ids = [ends[0].0.id, ends[1].0.id];
    let is_explicit = fleet.pairings.iter().any(|pairing| {
        let [(a, _), (b, _)] = pairing.between;
        is_same(&[a, b], &ids)
    });
    if is_explicit {
        return Ok(());
    }
    for path in paths(fleet, ends) {
        push_path(
            document,
            &path.map(|(site, link)| format!("{}/{link}", site.name)),
        )?;
    }
    Ok(())
}

fn push_path(document: &mut DocumentMut, ends: &[String; 2]) -> Result<(), EditError> {
    let paths = document
        .entry("path")
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let paths = paths.as_array_of_tables_mut();
    let mut table = Table::new();
    table.insert("between", Array::from_iter(ends).into());
    table.decor_mut().set_prefix("\n");
    paths.ok_or(EditError::Unusual("path"))?.push(table);
    Ok(())
}

fn keep_paths(
    document: &mut DocumentMut,
    keep: impl Fn(&[String; 2]) -> bool,
) -> Result<(), EditError> {
    let Some(paths) = document.get_mut("path") else {
        return Ok(());
    };
    let paths = paths.as_array_of_tables_mut();
    let paths = paths.ok_or(EditError::Unusual("path"))?;
    paths.retain(|table| {
        let between = table.get("between").and_then(Item::as_array);
        let texts = between.map(|ends| ends.iter().filter_map(Value::as_str).map(str::to_owned));
        let ends: Option<[String; 2]> =
            texts.and_then(|ends| ends.collect::<Vec<_>>().try_into().ok());
        ends.is_none_or(|ends| keep(&ends))
    });
    if paths.is_empty() {
        document.remove("path");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
