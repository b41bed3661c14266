//! Sysctls, by the files below /proc/sys; those of `net` are this network namespace's.

use std::fs;
use std::io;

use crate::plan::{Sysctl, SysctlValue};

use super::HostError;

pub(super) fn read(name: &str) -> io::Result<String> {
    let text = fs::read_to_string(format!("/proc/sys/{name}"))?;
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

pub(super) fn write(name: &str, value: &str) -> Result<(), HostError> {
    fs::write(format!("/proc/sys/{name}"), value).map_err(HostError::object(dotted(name)))
}

/// What the value should become; `None` when it is right, or when this kernel has no such sysctl.
pub(super) fn wanted(sysctl: &Sysctl) -> Option<String> {
    let now = read(sysctl.name).ok()?;
    match sysctl.value {
        SysctlValue::Exactly(value) => (now != value).then(|| value.to_owned()),
        SysctlValue::ThirdAtLeast(least) => {
            let mut words: Vec<_> = now.split(' ').map(str::to_owned).collect();
            let third = words.get_mut(2)?;
            if third.parse::<u64>().ok()? >= least {
                return None;
            }
            *third = least.to_string();
            Some(words.join(" "))
        }
    }
}

fn dotted(name: &str) -> String {
    format!("sysctl {}", name.replace('/', "."))
}
