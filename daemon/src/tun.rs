//! A path's TUN interface, by tun-rs: offloads on, so that the kernel hands over segments of up
//! to 64 kB and takes them back coalesced. Addresses, routes, MTU and owner's mark are the
//! `host` room's business.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use tun_rs::{DeviceBuilder, SyncDevice, VIRTIO_NET_HDR_LEN, VirtioNetHdr};

use crate::names::InterfaceName;
use crate::packet::batch::{LARGEST_PACKET, Plain};
use crate::packet::coalesce::{Frame, HEADROOM};

const _: () = assert!(
    HEADROOM == VIRTIO_NET_HDR_LEN,
    "tun-rs reads and writes the same header"
);

/// Why a TUN interface cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TunError {
    #[error("/dev/net/tun does not exist: load the kernel's module with `modprobe tun`")]
    NoDriver,
    #[error("/dev/net/tun may not be used: run as root or with CAP_NET_ADMIN")]
    NotPermitted,
    #[error("{0} is held by another process: stop it, or rename its interface")]
    Busy(InterfaceName),
    #[error("{0} exists and is no TUN of ours: remove or rename it")]
    Taken(InterfaceName),
    #[error("{0} cannot be opened: {1}")]
    Other(InterfaceName, io::Error),
}

/// An open TUN interface.
pub struct Tun {
    name: InterfaceName,
    device: SyncDevice,
    /// Each packet has a virtio-net header, and may be many in one.
    offload: bool,
}

impl std::fmt::Debug for Tun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tun").field(&self.name).finish()
    }
}

impl Tun {
    /// Makes the interface, or takes over the one that a former daemon left. With `offload`,
    /// packets are handed over many in one, where the kernel can.
    pub fn open(name: &InterfaceName, offload: bool) -> Result<Self, TunError> {
        let explain = |error: io::Error| explain(name, error);
        if !std::path::Path::new("/dev/net/tun").exists() {
            return Err(TunError::NoDriver);
        }
        let device = DeviceBuilder::new()
            .name(name.as_str())
            .offload(offload)
            .inherit_enable_state()
            .build_sync()
            .map_err(explain)?;
        device.set_nonblocking(true).map_err(explain)?;
        Ok(Self {
            name: name.clone(),
            offload: offload && device.tcp_gso(),
            device,
        })
    }

    /// From now on the interface outlives the daemon: after a crash, routes and connections live
    /// on. To be called once it bears our mark: a crash before leaves nothing, one after leaves
    /// what the next start knows as its own.
    pub fn persist(&self) -> Result<(), TunError> {
        self.device
            .persist()
            .map_err(|error| explain(&self.name, error))
    }

    pub fn name(&self) -> &InterfaceName {
        &self.name
    }

    /// Whether it takes and gives many packets in one.
    pub fn has_offload(&self) -> bool {
        self.offload
    }

    /// Hands a packet, or many in one, to the kernel.
    pub fn write(&self, frame: Frame<'_>) -> io::Result<()> {
        let bytes = if self.offload {
            Some(frame.bytes)
        } else {
            frame.bytes.get(HEADROOM..)
        };
        self.device.send(bytes.unwrap_or_default()).map(|_| ())
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

fn explain(name: &InterfaceName, error: io::Error) -> TunError {
    match error.raw_os_error() {
        Some(libc_error::EBUSY) => TunError::Busy(name.clone()),
        Some(libc_error::EINVAL) => TunError::Taken(name.clone()),
        Some(libc_error::EPERM | libc_error::EACCES) => TunError::NotPermitted,
        Some(libc_error::ENOENT | libc_error::ENXIO | libc_error::ENODEV) => TunError::NoDriver,
        _ => TunError::Other(name.clone(), error),
    }
}

/// Error numbers as integers, for matching.
mod libc_error {
    use nix::errno::Errno;

    pub(super) const EBUSY: i32 = Errno::EBUSY as i32;
    pub(super) const EINVAL: i32 = Errno::EINVAL as i32;
    pub(super) const EPERM: i32 = Errno::EPERM as i32;
    pub(super) const EACCES: i32 = Errno::EACCES as i32;
    pub(super) const ENOENT: i32 = Errno::ENOENT as i32;
    pub(super) const ENXIO: i32 = Errno::ENXIO as i32;
    pub(super) const ENODEV: i32 = Errno::ENODEV as i32;
}

/// Reads batches from a TUN: one superpacket a time, split into packets.
pub struct TunReader {
    superpacket: Box<[u8]>,
}

impl std::fmt::Debug for TunReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TunReader").finish_non_exhaustive()
    }
}

impl Default for TunReader {
    fn default() -> Self {
        Self {
            superpacket: vec![0; HEADROOM + LARGEST_PACKET].into_boxed_slice(),
        }
    }
}

impl TunReader {
    /// Appends what one read gives to `plain`. `WouldBlock` when there is nothing to read.
    pub fn read(&mut self, tun: &Tun, plain: &mut Plain) -> io::Result<()> {
        let (slots, lengths) = plain.spare();
        let superpacket = &mut self.superpacket;
        let count = tun.device.recv_multiple(superpacket, slots, lengths, 0)?;
        if tun.offload {
            let made = slots.iter_mut().take(count);
            made.for_each(|packet| mend_udp_checksum(superpacket, packet));
        }
        plain.commit(count);
        Ok(())
    }
}

/// A UDP checksum that was left to us and comes to zero is sent as 0xffff: zero says that there
/// is none, and over IPv6 the receiver drops it (RFC 768, RFC 8200 section 8.1). tun-rs leaves it.
fn mend_udp_checksum(superpacket: &[u8], packet: &mut [u8]) {
    const NEEDS_CSUM: u8 = 1;
    const UDP: u16 = 6;
    let Ok(header) = VirtioNetHdr::decode(superpacket) else {
        return;
    };
    if header.flags & NEEDS_CSUM == 0 || header.csum_offset != UDP {
        return;
    }
    let at = usize::from(header.csum_start) + usize::from(UDP);
    if let Some(checksum @ [0, 0]) = packet.get_mut(at..at + 2) {
        checksum.fill(0xff);
    }
}
