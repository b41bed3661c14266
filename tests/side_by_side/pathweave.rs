//! Two real daemons on a wire, one path per veth.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lab::daemon::Home;
use lab::namespace::Namespace;
use pathweaved::names::PrivateKey;

use crate::contender::Running;
use crate::wire::Wire;

/// The near site's home, and both daemons with all paths up.
pub fn start(wire: &Wire, links: u8, folder: &Path) -> anyhow::Result<(Home, Vec<Running>)> {
    let mut fleet = String::new();
    let mut homes = Vec::new();
    for (id, (name, namespace)) in (1..).zip([("near", &wire.near), ("far", &wire.far)]) {
        let key = PrivateKey::from_bytes([id; 32]);
        fleet += &describe(name, id, &key, links);
        homes.push(home(namespace, folder, name, &key)?);
    }
    fs::write(folder.join("fleet.toml"), fleet)?;
    let mut running = Vec::new();
    for home in &homes {
        running.push(Running::Pathweave(home.start()?));
    }
    homes.iter().for_each(|home| drop(home.wait_until_all_up()));
    Ok((homes.remove(0), running))
}

/// A daemon's folder below that of its fleet file, with its key in it.
pub fn home(
    namespace: &Namespace,
    folder: &Path,
    name: &str,
    key: &PrivateKey,
) -> std::io::Result<Home> {
    let folder = folder.join(name);
    fs::create_dir(&folder)?;
    let file = folder.join("private.key");
    fs::write(&file, key.to_text().as_str())?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    Ok(Home {
        namespace: namespace.clone(),
        folder,
    })
}

fn describe(name: &str, id: u8, key: &PrivateKey, links: u8) -> String {
    let link = |k| {
        format!(
            "  {{ name = \"wan{k}\", interface = \"wan{k}\", endpoint = \"198.18.{k}.{id}\" }},\n"
        )
    };
    let links: String = (1..=links).map(link).collect();
    let key = key.public();
    format!("[site.{name}]\nid = {id}\npublic_key = \"{key}\"\nlinks = [\n{links}]\n")
}
