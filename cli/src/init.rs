//! `pathweave init`: this machine looked at, a site proposed, key and fleet file written, and what
//! the other site needs. With `--join` it adds itself to the fleet file of another site.
//!
//! [`facts`] is what the kernel tells, [`proposal`] what is made of it, [`questions`] asks a
//! person about it, [`place`] writes, [`words`] says how to go on. stdout is the fleet file alone:
//! `ssh nara pathweave init -y | ssh tainan pathweave init -y --join - | ssh nara pathweave apply -`

mod facts;
mod place;
mod proposal;
mod questions;
mod words;

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::Args;
use pathweaved::config::{self, Fleet, View};
use pathweaved::names::{Name, PublicKey};

use crate::check;
use crate::disk;
use crate::edit::fleet::{self, NewSite};
use crate::failure::Failure;
use crate::output;
use place::{Files, Key};
use proposal::{Facts, Proposal, ProposedLink};
use questions::Terminal;
use words::Done;

const HEAD: &str =
    "# The whole overlay; the same file at every site. `pathweave check` reads it.\n";
const DEFAULT_PORT: u16 = 51_820;

/// A site to begin with, or to add.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Add this site to the fleet file of another one; - reads it from the terminal or a pipe.
    #[arg(long, value_name = "FILE")]
    join: Option<PathBuf>,
    /// Take what is proposed, ask nothing.
    #[arg(long, short)]
    yes: bool,
    /// This site's name; otherwise the machine's.
    #[arg(long, value_name = "NAME")]
    site: Option<Name>,
    /// Its number, 1 to 254; otherwise the first that is free.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=254))]
    id: Option<u8>,
    /// One for each of its ISPs, instead of those that are found:
    /// NAME,interface=DEVICE,endpoint=HOST:PORT
    #[arg(long = "link", value_name = "LINK")]
    links: Vec<String>,
    /// The UDP port of all sites, if it shall not be 51820.
    #[arg(long, value_name = "PORT", conflicts_with = "join")]
    listen_port: Option<u16>,
    /// The fleet file to write; it must not be there yet.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/pathweave/pathweave.toml"
    )]
    config: PathBuf,
    /// This site's private key; one that is there is used.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/pathweave/private.key"
    )]
    key: PathBuf,
}

/// The fleet that is joined.
#[derive(Debug)]
struct Joined {
    text: String,
    fleet: Fleet,
}

pub(crate) fn init(wish: &Init) -> Result<(), Failure> {
    place::try_out([&wish.config, &wish.key])?;
    let key = Key::find_or_make(&wish.key)?;
    let joined = wish.join.as_deref().map(read).transpose()?;
    let replaces = may_replace(&wish.config, joined.as_ref())?;
    let public = key.key.public();
    let facts = facts::look().map_err(|error| {
        Failure::Other(format!("the kernel does not tell its devices: {error}"))
    })?;
    let known = joined
        .as_ref()
        .is_some_and(|joined| joined.fleet.view(&public).is_ok());
    let text = match joined {
        Some(joined) if known => joined.text,
        joined => wish.compose(&facts, joined.as_ref(), &public)?,
    };
    let view = good(&text, &public)?;
    place::write(&Files {
        config: &wish.config,
        text: &text,
        replaces,
        key_file: &wish.key,
        key: &key,
    })?;
    let done = Done {
        view: &view,
        config: wish.config.display().to_string(),
        new_key: key.is_new.then(|| wish.key.display().to_string()),
        firewall: facts.firewall,
        known,
    };
    tell(&done, &text)
}

impl Init {
    /// The fleet file with this site in it.
    fn compose(
        &self,
        facts: &Facts,
        joined: Option<&Joined>,
        public: &PublicKey,
    ) -> Result<String, Failure> {
        let fleet = joined.map(|joined| &joined.fleet);
        let mut proposal = proposal::propose(facts, fleet);
        if let Some(name) = &self.site {
            proposal.name = name.to_string();
        }
        proposal.id = self.id.unwrap_or(proposal.id);
        if !self.links.is_empty() {
            return self.add(joined, &proposal, &self.links, public);
        }
        let aside = proposal::left_aside(facts).join(", ");
        if !aside.is_empty() {
            let text = "left aside, for want of a default route";
            output::remark(&format!("{text}: {aside}; --link takes them"));
        }
        if proposal.links.is_empty() {
            return Err(Failure::Other(
                "no device has a default route, so no ISP is found: name them, for example --link \
                 fiber,interface=eth1,endpoint=203.0.113.7"
                    .to_owned(),
            ));
        }
        if !self.yes {
            proposal = self.ask(fleet, &proposal, public)?;
        }
        self.add(joined, &proposal, &spelled(&proposal), public)
    }

    fn add(
        &self,
        joined: Option<&Joined>,
        proposal: &Proposal,
        links: &[String],
        public: &PublicKey,
    ) -> Result<String, Failure> {
        match (joined, self.listen_port) {
            (Some(joined), _) => add(&joined.text, proposal, links, public),
            (None, None | Some(DEFAULT_PORT)) => {
                Ok(HEAD.to_owned() + &add("", proposal, links, public)?)
            }
            (None, Some(port)) => {
                let top = format!("listen_port = {port}\n");
                Ok(HEAD.to_owned() + &add(&top, proposal, links, public)?)
            }
        }
    }

    fn ask(
        &self,
        fleet: Option<&Fleet>,
        proposal: &Proposal,
        public: &PublicKey,
    ) -> Result<Proposal, Failure> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            let links: Vec<_> = spelled(proposal);
            return Err(Failure::Other(format!(
                "there is no terminal to ask at, and nothing was written; --yes takes what is \
                 proposed: --site {} --id {} --link {}",
                proposal.name,
                proposal.id,
                links.join(" --link ")
            )));
        }
        let fits = |link: &ProposedLink| {
            let alone = Proposal {
                name: "here".to_owned(),
                id: 1,
                links: Vec::new(),
            };
            let text = add("", &alone, &[link.spelled()], public);
            let text = text.map_err(|failure| failure.to_string())?;
            let errors = config::parse("the fleet file", &text).err();
            errors.map_or(Ok(()), |errors| Err(errors.render(false)))
        };
        let mut terminal = Terminal {
            input: io::stdin().lock(),
            output: io::stderr(),
        };
        terminal.ask(proposal, fleet, fits)
    }
}

fn spelled(proposal: &Proposal) -> Vec<String> {
    proposal.links.iter().map(ProposedLink::spelled).collect()
}

fn add(
    base: &str,
    proposal: &Proposal,
    links: &[String],
    public: &PublicKey,
) -> Result<String, Failure> {
    let site = NewSite {
        name: &proposal.name,
        id: proposal.id,
        public_key: &public.to_string(),
        links,
        subnets: &[],
    };
    fleet::add_site(base, &site).map_err(|error| Failure::Other(error.to_string()))
}

/// As this site sees it.
fn good(text: &str, public: &PublicKey) -> Result<View, Failure> {
    let name = "the fleet file, as it would be";
    let fleet = config::parse(name, text)
        .map_err(|errors| check::refused(Path::new(name), errors.into()))?;
    let view = fleet.view(public);
    view.map_err(|error| Failure::Configuration(error.to_string()))
}

fn read(file: &Path) -> Result<Joined, Failure> {
    if file != Path::new("-") {
        let read = config::read_text(file).map_err(|error| check::refused(file, error))?;
        let (text, fleet) = read;
        return Ok(Joined { text, fleet });
    }
    let text = disk::pasted()?;
    let name = "what was pasted";
    let fleet = config::parse(name, &text)
        .map_err(|errors| check::refused(Path::new(name), errors.into()))?;
    Ok(Joined { text, fleet })
}

/// What is there is never overwritten, unless it is the file that is joined.
fn may_replace(config: &Path, joined: Option<&Joined>) -> Result<bool, Failure> {
    if !config.exists() {
        return Ok(false);
    }
    let there = fs::read_to_string(config).ok();
    if joined.is_some_and(|joined| there.as_ref() == Some(&joined.text)) {
        return Ok(true);
    }
    let file = config.display();
    Err(Failure::Other(format!(
        "{file} is there already, and is not overwritten: look at it with `pathweave check`; \
         `pathweave apply` takes another fleet file, `pathweave peer add` adds a site"
    )))
}

fn tell(done: &Done<'_>, text: &str) -> Result<(), Failure> {
    anstream::eprint!("{}", words::before(done));
    output::data(text)?;
    anstream::eprint!("{}", words::after(done));
    Ok(())
}
