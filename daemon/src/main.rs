//! pathweaved, the daemon. All of it is in the library: the package's one file is it as well.

use std::process::ExitCode;

fn main() -> ExitCode {
    pathweaved::runtime::program::main()
}
