//! What `pathweave speed` and the daemon at the far end say to each other, over TCP inside the
//! overlay: the opener's [`Order`] in one line, the answer `yes` or `no` and why in another.
//!
//! *Up*: the opener then sends whatever it likes, and hears ten times a second, in a line, how
//! much has come ([`Count`]). *Down*: the daemon sends for so many seconds, and hangs up.

use std::fmt;
use std::str::FromStr;

/// The longest order is for this many seconds.
pub const LONGEST: u8 = 60;
/// No line is longer than this, in bytes.
pub const LONGEST_LINE: usize = 200;
pub const YES: &str = "yes";

/// As the opener sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Up,
    Down,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    pub direction: Direction,
    /// 1 to [`LONGEST`].
    pub seconds: u8,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            Direction::Up => "up",
            Direction::Down => "down",
        };
        write!(f, "pathweave-speed 1 {direction} {}", self.seconds)
    }
}

/// The line is no order that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not understood: are both ends' pathweave of one version?")]
pub struct NotUnderstood;

impl FromStr for Order {
    type Err = NotUnderstood;

    fn from_str(line: &str) -> Result<Self, NotUnderstood> {
        let words: Vec<_> = line.split(' ').collect();
        let ["pathweave-speed", "1", direction, seconds] = words.as_slice() else {
            return Err(NotUnderstood);
        };
        let direction = match *direction {
            "up" => Direction::Up,
            "down" => Direction::Down,
            _ => return Err(NotUnderstood),
        };
        let seconds = seconds.parse().map_err(|_| NotUnderstood)?;
        let allowed = (1..=LONGEST).contains(&seconds);
        allowed
            .then_some(Self { direction, seconds })
            .ok_or(NotUnderstood)
    }
}

/// What has come since the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub elapsed_us: u64,
    pub bytes: u64,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.elapsed_us, self.bytes)
    }
}

impl FromStr for Count {
    type Err = NotUnderstood;

    fn from_str(line: &str) -> Result<Self, NotUnderstood> {
        let number = |text: &str| text.parse().map_err(|_| NotUnderstood);
        let (elapsed, bytes) = line.split_once(' ').ok_or(NotUnderstood)?;
        Ok(Self {
            elapsed_us: number(elapsed)?,
            bytes: number(bytes)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_counts_are_read_as_they_were_written_and_nothing_else_is() {
        for direction in [Direction::Up, Direction::Down] {
            for seconds in [1, LONGEST] {
                let order = Order { direction, seconds };
                assert_eq!(order.to_string().parse(), Ok(order));
            }
        }
        let count = Count {
            elapsed_us: 7,
            bytes: u64::MAX,
        };
        assert_eq!(count.to_string().parse(), Ok(count));
        for wrong in [
            "",
            "GET / HTTP/1.1",
            "pathweave-speed 2 up 5",
            "pathweave-speed 1 up 0",
            "pathweave-speed 1 up 61",
            "pathweave-speed 1 up 5 5",
            "pathweave-speed 1 sideways 5",
        ] {
            assert_eq!(wrong.parse::<Order>(), Err(NotUnderstood), "{wrong}");
            assert_eq!(wrong.parse::<Count>(), Err(NotUnderstood), "{wrong}");
        }
    }
}
