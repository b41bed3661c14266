//! What is said after it was written: what to carry to the other site, and how.

use pathweaved::config::{Link, Peer, View};

use super::proposal::Firewall;

const RULE: &str = "────────────────────────────────────────";

/// What `init` did.
#[derive(Debug)]
pub(super) struct Done<'a> {
    pub(super) view: &'a View,
    pub(super) config: String,
    /// Of the key, if it is new.
    pub(super) new_key: Option<String>,
    pub(super) firewall: Option<Firewall>,
    /// The other sites know this one already.
    pub(super) known: bool,
}

/// Before the fleet file's text.
pub(super) fn before(done: &Done<'_>) -> String {
    let site = &done.view.site;
    let mut text = match &done.new_key {
        Some(key) => format!("{key} is new: the private key, which stays on this machine\n"),
        None => String::new(),
    };
    let links = count(site.links.len(), "link");
    let verb = if done.known {
        "names"
    } else {
        "is new, and names"
    };
    text += &format!(
        "{} {verb} this site {}, number {}, with {links}\n",
        done.config, site.name, site.id
    );
    for peer in &done.view.peers {
        for path in &peer.paths {
            text += &format!(
                "  path {} to {}: {}\n",
                path.id.number,
                peer.site.name,
                ends(done.view, peer, (path.link, path.remote_link))
            );
        }
    }
    if done.known {
        return text;
    }
    text + "\n" + &carry(done.view) + RULE + "\n"
}

/// After it.
pub(super) fn after(done: &Done<'_>) -> String {
    let port = done.view.listen_port;
    let open = match done.firewall {
        Some(Firewall::Ufw) => format!("sudo ufw allow {port}/udp"),
        Some(Firewall::Firewalld) => format!(
            "sudo firewall-cmd --permanent --add-port={port}/udp && sudo firewall-cmd --reload"
        ),
        None => format!("sudo nft add rule inet filter input udp dport {port} accept"),
    };
    let rule = if done.known {
        String::new()
    } else {
        format!("{RULE}\n")
    };
    format!(
        "{rule}\nHere, let UDP port {port} in, also at a router or a cloud's firewall before this \
         machine:\n\n    {open}\n\nThen:\n\n    sudo systemctl enable --now pathweaved\n    sudo \
         pathweave status\n"
    )
}

fn carry(view: &View) -> String {
    let names: Vec<_> = view
        .peers
        .iter()
        .map(|peer| peer.site.name.as_str())
        .collect();
    let (where_, command) = match names.as_slice() {
        [] => ("At the other site".to_owned(), "init --join -"),
        [one] => (format!("At {one}"), "apply -"),
        many => (format!("At each of {}", many.join(", ")), "apply -"),
    };
    format!(
        "{where_} run\n\n    sudo pathweave {command}\n\npaste what stands between the lines \
         there, and press Ctrl-D:\n"
    )
}

fn ends(view: &View, peer: &Peer, (ours, theirs): (usize, usize)) -> String {
    let link = |links: &[Link], index: usize| links.get(index).cloned();
    let (Some(ours), Some(theirs)) = (link(&view.site.links, ours), link(&peer.site.links, theirs))
    else {
        return String::new();
    };
    let dark = match (&ours.endpoint, &theirs.endpoint) {
        (None, None) => "; neither end has an endpoint, so neither can begin",
        (Some(_), _) | (_, Some(_)) => "",
    };
    format!("{} ↔ {}{dark}", ours.name, theirs.name)
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}
