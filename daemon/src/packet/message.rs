//! WireGuard's outer messages, as far as one must look at them before their tunnel is known
//! (whitepaper section 5.4).

/// What a data message adds to its padded packet: header 16, tag 16.
pub const DATA_OVERHEAD: usize = 32;
/// The longest handshake message.
pub const INITIATION_LENGTH: usize = 148;
pub const RESPONSE_LENGTH: usize = 92;
const COOKIE_LENGTH: usize = 64;

/// A datagram with the type and the length of one of WireGuard's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    Initiation { sender: u32 },
    Response { receiver: u32 },
    Cookie { receiver: u32 },
    Data { receiver: u32 },
}

impl Message {
    /// `None` for anything else; such a datagram is answered by silence.
    pub fn of(datagram: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_le_bytes(*datagram.get(at..)?.first_chunk::<4>()?));
        match (word(0)?, datagram.len()) {
            (1, INITIATION_LENGTH) => Some(Self::Initiation { sender: word(4)? }),
            (2, RESPONSE_LENGTH) => Some(Self::Response { receiver: word(8)? }),
            (3, COOKIE_LENGTH) => Some(Self::Cookie { receiver: word(4)? }),
            (4, DATA_OVERHEAD..) => Some(Self::Data { receiver: word(4)? }),
            _ => None,
        }
    }
}
