//! Sysctls, by the files below /proc/sys; those of `net` are this network namespace's.

use std::fs;
use std::io;

use super::HostError;

pub(super) fn read(name: &str) -> io::Result<String> {
    let text = fs::read_to_string(format!("/proc/sys/{name}"))?;
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

pub(super) fn write(name: &str, value: &str) -> Result<(), HostError> {
    let dotted = format!("sysctl {}", name.replace('/', "."));
    fs::write(format!("/proc/sys/{name}"), value).map_err(HostError::object(dotted))
}
