//! What a second link does to a transfer over the first.

use std::io;

use crate::laboratory::{Isp, Lab};
use crate::transfer::{self, BUCKET, Outcome, Transfer};

/// The first link, which would be enough by itself.
pub const GOOD: Isp = Isp::new(60, 20);

/// The total with both ÷ the first alone.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Once the daemon has found out what the second is worth.
    pub settled: f64,
    pub from_the_beginning: f64,
    /// Why the second is left aside, as the operator is told.
    pub reserve: Option<String>,
}

/// Moves data over [`GOOD`] alone, then over both for `seconds`, more than ten.
pub fn compare(second: Isp, control: &'static str, seconds: u64) -> io::Result<Compared> {
    let lab = Lab::two_sites(&[GOOD, second])?;
    compare_in(lab, control, seconds)
}

/// The same where both paths leave this site by one link, which is [`GOOD`].
pub fn compare_one_bottleneck(control: &'static str, seconds: u64) -> io::Result<Compared> {
    let lab = Lab::two_sites(&[GOOD, GOOD])?;
    let second = "  { name = \"isp2\", ";
    lab.edit_fleet(|text| {
        let at = text.find(second).unwrap_or(text.len());
        let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
        format!("{}{}", &text[..at], &text[end..])
    })?;
    compare_in(lab, control, seconds)
}

fn compare_in(mut lab: Lab, control: &'static str, seconds: u64) -> io::Result<Compared> {
    lab.start()?;
    let path = |state: &str| {
        let mut sites = lab.sites.iter().zip(["tainan", "nara"]);
        sites.try_for_each(|(site, peer)| site.home.cli(&["path", state, peer, "2"]).map(|_| ()))
    };
    let run = |seconds: u64| {
        let transfer = Transfer {
            congestion_control: Some(control),
            ..Transfer::of(seconds * GOOD.rate / 8)
        };
        transfer::run(&transfer, &lab.sites[0], &lab.sites[1], |_| {})
    };
    path("down")?;
    let alone = run(8)?.steady_rate();
    path("up")?;
    lab.sites[0].home.wait_until_all_up();
    let both = run(seconds)?;
    if !both.intact {
        return Err(io::Error::other("the data came out different"));
    }
    let status = lab.sites[0].home.status()?;
    let path = status.peers.first().and_then(|peer| peer.paths.get(1));
    Ok(Compared {
        settled: after_ten_seconds(&both) / alone,
        from_the_beginning: both.rate() / alone,
        reserve: path.and_then(|path| path.reserve.clone()),
    })
}

/// Mbit/s.
fn after_ten_seconds(outcome: &Outcome) -> f64 {
    let whole = outcome.timeline.len().saturating_sub(1);
    let late = outcome.timeline.get(100..whole).unwrap_or_default();
    let time = late.len() as f64 * BUCKET.as_secs_f64();
    late.iter().sum::<u64>() as f64 * 8.0 / 1e6 / time
}
