//! What a daemon that crashed, or was restarted, has left: interfaces and routes that open
//! connections use. They are used further, and the other end is told that they are up: it
//! would take them down, and hold them back, if we said otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::config::View;
use crate::host::{Host, HostError};
use crate::names::{PathId, PathNumber, SiteId};

/// The paths that connections may be using, and those of them that carry the site addresses.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Left {
    pub paths: BTreeSet<PathId>,
    pub site_paths: BTreeMap<SiteId, PathNumber>,
}

impl Left {
    pub fn find(view: &View, host: &Host) -> Result<Self, HostError> {
        let devices = host
            .devices()?
            .into_iter()
            .filter(|device| device.is_ours());
        let devices: BTreeSet<String> = devices.map(|device| device.name).collect();
        Ok(Self::of(view, &devices, &host.main_routes()?))
    }

    /// A peer that could not be reached is not believed to be reachable now.
    fn of(view: &View, devices: &BTreeSet<String>, routes: &BTreeMap<IpAddr, String>) -> Self {
        let mut left = Self::default();
        for peer in &view.peers {
            let address = view.overlay.addresses(peer.site.id, PathNumber::FIRST);
            let device = address.first().and_then(|address| routes.get(address));
            let there = |name: &str| devices.contains(name);
            let mut paths = peer
                .paths
                .iter()
                .filter(|path| there(path.interface.as_str()));
            let paths: Vec<_> = paths.by_ref().collect();
            let carries = paths
                .iter()
                .find(|path| Some(path.interface.as_str()) == device.map(String::as_str));
            if let Some(carries) = carries {
                left.site_paths.insert(peer.site.id, carries.id.number);
                left.paths.extend(paths.iter().map(|path| path.id));
            }
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const KEYS: [&str; 2] = [
        "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=",
        "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=",
    ];

    fn view() -> View {
        let links =
            "{ name = \"one\", interface = \"e1\" }, { name = \"two\", interface = \"e2\" }";
        let site = |(id, key)| {
            format!("[site.s{id}x]\nid = {id}\npublic_key = \"{key}\"\nlinks = [{links}]\n")
        };
        let text: String = (1..).zip(KEYS).map(site).collect();
        let fleet = config::parse("test", &text).unwrap_or_else(|errors| panic!("{errors}"));
        fleet.view(&KEYS[0].parse().unwrap()).unwrap()
    }

    #[test]
    fn what_is_there_is_used_further_where_its_peer_was_reached() {
        let view = view();
        let names: Vec<_> = view
            .paths()
            .map(|(_, path)| path.interface.to_string())
            .collect();
        let [first, second] = names.try_into().unwrap();
        let both: BTreeSet<_> = [first.clone(), second.clone()].into();
        let route = |device: &str| [("10.213.2.1".parse().unwrap(), device.to_owned())].into();

        let left = Left::of(&view, &both, &route(&second));
        let site_paths: Vec<_> = left
            .site_paths
            .values()
            .map(|number| number.value())
            .collect();
        assert_eq!((left.paths.len(), site_paths), (2, vec![2]));

        let gone = Left::of(&view, &[first].into(), &route(&second));
        assert_eq!(gone, Left::default(), "the device of the route is gone");
        assert_eq!(Left::of(&view, &both, &BTreeMap::new()), Left::default());
    }
}
