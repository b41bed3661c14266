//! Debian 12's kernel under QEMU: the guest is that kernel, busybox, nft and pathweave, and this
//! program once more, which runs two sites and their ISPs inside and says what the kernel does.

#![allow(
    clippy::disallowed_methods,
    reason = "it lives by the clock, and starts programs"
)]

mod guest;
mod scenario;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

#[derive(Debug, Parser)]
enum Arguments {
    /// Boots a kernel and runs the scenario in it.
    Boot {
        /// Debian's package, unpacked.
        kernel: PathBuf,
        /// Where the guest is put together.
        folder: PathBuf,
        /// The guest is ended after so many seconds.
        #[arg(long, default_value_t = 1200)]
        patience: u64,
    },
    /// Runs it on this kernel, as the guest does.
    Inside,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse() {
        Arguments::Boot {
            kernel,
            folder,
            patience,
        } => {
            guest::make(&kernel, &folder)?;
            guest::boot(&kernel, &folder, Duration::from_secs(patience))
        }
        Arguments::Inside => scenario::run(),
    }
}
