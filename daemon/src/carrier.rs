//! How a path's datagrams travel. UDP now; QUIC and relay are to join it.

pub mod udp;
