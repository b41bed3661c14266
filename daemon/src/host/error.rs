//! Why the machine cannot carry pathweave, or why one object could not be changed. Each message
//! ends with what to do about it.

use std::io;

use nix::errno::Errno;

#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error(
        "this kernel has no MPTCP (/proc/sys/net/mptcp is missing): use a kernel of 5.16 or \
         later that is built with CONFIG_MPTCP"
    )]
    NoMptcp,
    #[error(
        "this kernel lets no program manage MPTCP's paths (Linux 5.19 does): \
         write `path_manager = \"auto\"` into the fleet file"
    )]
    NoPathManager,
    #[error("the kernel's network state may not be changed: run as root or with CAP_NET_ADMIN")]
    NotPermitted,
    #[error(
        "the leak guard needs `nft`, which is not installed: install the package nftables, or \
         set `leak_guard = false` to run without it"
    )]
    NoNft,
    #[error(
        "nft refuses the leak guard: {0}; load the kernel's module nf_tables, or set \
         `leak_guard = false` to run without it"
    )]
    Nft(String),
    #[error("{object}: {error}; {}", remedy(.object, .error))]
    Object { object: String, error: io::Error },
    #[error("{path}: {error}; the state directory must be writable")]
    Journal { path: String, error: io::Error },
}

impl HostError {
    /// The leak guard is not in place.
    pub fn is_of_guard(&self) -> bool {
        matches!(self, Self::NoNft | Self::Nft(_))
    }

    pub(super) fn object(object: impl ToString) -> impl FnOnce(io::Error) -> Self {
        move |error| match errno(&error) {
            Some(Errno::EPERM) => Self::NotPermitted,
            _ => Self::Object {
                object: object.to_string(),
                error,
            },
        }
    }
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}

fn remedy(object: &str, error: &io::Error) -> &'static str {
    match errno(error) {
        Some(Errno::EEXIST | Errno::EBUSY) => {
            "another program has its own in that place: remove it there"
        }
        Some(Errno::ERANGE) => {
            "the kernel has no place left: `ip mptcp endpoint` shows whose endpoints they are"
        }
        Some(Errno::EACCES | Errno::EROFS) if object.contains("sysctl") => {
            "/proc/sys/net is read-only here: set it on the host, or make it writable"
        }
        Some(Errno::EACCES | Errno::EAFNOSUPPORT | Errno::EOPNOTSUPP) => {
            "IPv6 may be switched off: switch it on (net.ipv6.conf.lo.disable_ipv6=0), or give \
             `overlay` an IPv4 prefix only"
        }
        Some(Errno::ENODEV | Errno::ENXIO) => {
            "the device is gone: it is tried again when it is back"
        }
        Some(Errno::ENETDOWN) => "the device is down: set it up with `ip link set … up`",
        _ => "the kernel's log (`dmesg`) may say more",
    }
}
