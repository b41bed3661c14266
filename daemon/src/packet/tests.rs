//! A superpacket as the kernel hands it over, split by tun-rs, coalesced by us: what comes out is
//! what went in. Every packet between the two is read by etherparse, which knows neither.

mod bad_input;
mod disorder;
mod foreign;
mod identity;
mod reading;
mod superpacket;
mod written;
