//! The proposal, question by question. Enter takes what stands in brackets; the end of the input
//! ends it all, and nothing is written.

use std::io::{self, BufRead, Write};

use pathweaved::config::Fleet;
use pathweaved::names::{Name, SiteId};

use crate::failure::Failure;

use super::proposal::{Proposal, ProposedLink, has_site};

/// Where a person sits.
#[derive(Debug)]
pub(super) struct Terminal<R, W> {
    pub(super) input: R,
    pub(super) output: W,
}

impl<R: BufRead, W: Write> Terminal<R, W> {
    /// `fits` tells what is wrong with a link.
    pub(super) fn ask(
        &mut self,
        proposed: &Proposal,
        fleet: Option<&Fleet>,
        fits: impl Fn(&ProposedLink) -> Result<(), String>,
    ) -> Result<Proposal, Failure> {
        let name = self.answer("this site's name", &proposed.name, |text| {
            text.parse::<Name>().map_err(|error| error.to_string())?;
            match fleet.is_some_and(|fleet| has_site(fleet, text)) {
                true => Err("another site has this name".to_owned()),
                false => Ok(text.to_owned()),
            }
        })?;
        let id = self.answer("its number, 1 to 254", &proposed.id.to_string(), |text| {
            let id = text.parse().ok().and_then(SiteId::new);
            let id = id.ok_or("write a number from 1 to 254")?;
            match fleet.is_some_and(|fleet| fleet.sites.contains_key(&id)) {
                true => Err("another site has this number".to_owned()),
                false => Ok(id.value()),
            }
        })?;
        let mut links = Vec::new();
        for link in &proposed.links {
            links.extend(self.link(link, &fits)?);
        }
        if links.is_empty() {
            let text = "a site needs a link: begin again, and nothing is written yet";
            return Err(Failure::Other(text.to_owned()));
        }
        let yes = self.answer("write it? y or n", "y", |text| match text {
            "y" | "yes" => Ok(true),
            "n" | "no" => Ok(false),
            _ => Err("write y or n".to_owned()),
        })?;
        if yes {
            Ok(Proposal { name, id, links })
        } else {
            Err(nothing_written())
        }
    }

    /// `None`: it is left out.
    fn link(
        &mut self,
        link: &ProposedLink,
        fits: impl Fn(&ProposedLink) -> Result<(), String>,
    ) -> Result<Option<ProposedLink>, Failure> {
        let device = &link.interface;
        self.say(&format!("\n{device}: {}\n", link.note))?;
        let as_name = |text: &str| match text {
            "-" => Ok(None),
            _ => fits(&ProposedLink {
                name: text.to_owned(),
                endpoint: None,
                ..link.clone()
            })
            .map(|()| Some(text.to_owned())),
        };
        let question = "  a name for this link, for example the ISP's; - leaves it out";
        let Some(name) = self.answer(question, &link.name, as_name)? else {
            return Ok(None);
        };
        let as_endpoint = |text: &str| {
            let changed = ProposedLink {
                name: name.clone(),
                endpoint: (text != "-").then(|| text.to_owned()),
                ..link.clone()
            };
            fits(&changed).map(|()| changed)
        };
        let question = "  where other sites reach it: an address or a DNS name; - if they cannot";
        let proposed = link.endpoint.clone().unwrap_or_else(|| "-".to_owned());
        self.answer(question, &proposed, as_endpoint).map(Some)
    }

    /// Asks until the answer is good.
    fn answer<T>(
        &mut self,
        question: &str,
        proposed: &str,
        good: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        loop {
            self.say(&format!("{question} [{proposed}]: "))?;
            let mut line = String::new();
            match self.input.read_line(&mut line) {
                Ok(0) => return Err(nothing_written()),
                Ok(_) => {}
                Err(error) => return Err(broken(&error)),
            }
            let text = match line.trim() {
                "" => proposed,
                text => text,
            };
            match good(text) {
                Ok(answer) => return Ok(answer),
                Err(why) => self.say(&format!("  {why}\n"))?,
            }
        }
    }

    fn say(&mut self, text: &str) -> Result<(), Failure> {
        let said = self.output.write_all(text.as_bytes());
        said.and_then(|()| self.output.flush())
            .map_err(|error| broken(&error))
    }
}

fn nothing_written() -> Failure {
    Failure::Other("nothing was written".to_owned())
}

fn broken(error: &io::Error) -> Failure {
    Failure::Other(format!(
        "the terminal is gone ({error}): nothing was written"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(answers: &str) -> (Result<Proposal, Failure>, String) {
        let link = |name: &str, endpoint: Option<&str>| ProposedLink {
            name: name.to_owned(),
            interface: name.to_owned(),
            endpoint: endpoint.map(str::to_owned),
            note: "a note".to_owned(),
        };
        let proposed = Proposal {
            name: "nara".to_owned(),
            id: 1,
            links: vec![link("eth0", Some("203.0.113.7")), link("wwan0", None)],
        };
        let mut terminal = Terminal {
            input: answers.as_bytes(),
            output: Vec::new(),
        };
        let fits = |link: &ProposedLink| match link.endpoint.as_deref() {
            Some("nonsense") => Err("no endpoint".to_owned()),
            Some(_) | None => Ok(()),
        };
        let answer = terminal.ask(&proposed, None, fits);
        (answer, String::from_utf8(terminal.output).unwrap())
    }

    fn links(proposal: &Proposal) -> Vec<String> {
        proposal.links.iter().map(ProposedLink::spelled).collect()
    }

    #[test]
    fn enter_takes_the_whole_proposal() {
        let (answer, seen) = asked(&"\n".repeat(7));
        let answer = answer.unwrap();
        assert_eq!((answer.name.as_str(), answer.id), ("nara", 1), "{seen}");
        let expected = [
            "eth0,interface=eth0,endpoint=203.0.113.7",
            "wwan0,interface=wwan0",
        ];
        assert_eq!(links(&answer), expected);
    }

    #[test]
    fn a_wrong_answer_is_asked_again_and_a_link_may_be_left_out() {
        let (answer, seen) = asked("Tokyo!\ntokyo\n300\n7\nfiber\nnonsense\nt.example.net\n-\ny\n");
        let answer = answer.unwrap();
        assert_eq!((answer.name.as_str(), answer.id), ("tokyo", 7), "{seen}");
        let expected = ["fiber,interface=eth0,endpoint=t.example.net"];
        assert_eq!(links(&answer), expected);
        for why in ["lower-case", "from 1 to 254", "no endpoint"] {
            assert!(seen.contains(why), "{why} is missing in:\n{seen}");
        }
    }

    #[test]
    fn the_end_of_the_input_and_a_no_write_nothing() {
        for answers in ["", "nara\n", &("\n".repeat(6) + "n\n")] {
            let (answer, _) = asked(answers);
            assert_eq!(answer.unwrap_err().to_string(), "nothing was written");
        }
        let (answer, _) = asked("\n\n-\n-\n");
        assert!(answer.unwrap_err().to_string().contains("needs a link"));
    }
}
