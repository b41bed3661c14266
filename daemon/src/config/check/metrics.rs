//! Where metrics are served: a key of the file, and of a site whose place is another.

use crate::config::checked::Listen;
use crate::config::problem::Problem;
use crate::config::section::Section;
use crate::config::value;

pub(super) fn read(section: &Section<'_, '_>, problems: &mut Vec<Problem>) -> Option<Listen> {
    let (text, place) = section.text("metrics", problems)?;
    match value::listen(text) {
        Ok(listen) => Some(listen),
        Err(why) => {
            let what = format!("{text:?} is no place to serve metrics on: {why}");
            let remedy = "write \"127.0.0.1:9586\", \"[::1]:9586\" or \
                          \"unix:/run/pathweave/metrics.sock\", or leave the key out";
            problems.push(Problem::new(place, what, remedy));
            None
        }
    }
}
