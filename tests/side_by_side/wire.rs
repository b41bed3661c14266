//! Two network namespaces joined by veths: the fastest wire that a machine has with itself.

use std::io;

use lab::namespace::Namespace;

/// The near end sends, the far end serves.
#[derive(Debug)]
pub struct Wire {
    pub near: Namespace,
    pub far: Namespace,
}

impl Wire {
    /// `links` veths called `wan1`…, with the addresses `198.18.<link>.1` and `.2`.
    pub fn new(links: u8) -> io::Result<Self> {
        let wire = Self {
            near: Namespace::new()?,
            far: Namespace::new()?,
        };
        let far = wire.far.clone();
        let holder = far.command("sleep")?.arg("infinity").spawn();
        let mut holder = holder?;
        for link in 1..=links {
            wire.near.shell(&format!(
                "ip link add wan{link} type veth peer name wan{link} netns {pid}
                 ip addr add 198.18.{link}.1/24 dev wan{link}; ip link set wan{link} up",
                pid = holder.id()
            ));
            wire.far.shell(&format!(
                "ip addr add 198.18.{link}.2/24 dev wan{link}; ip link set wan{link} up"
            ));
        }
        holder.kill()?;
        holder.wait()?;
        Ok(wire)
    }

    /// Namespace, outer address and the far end's, of one end and then the other.
    pub fn ends(&self) -> [(&Namespace, &'static str, &'static str); 2] {
        [
            (&self.near, "198.18.1.1", "198.18.1.2"),
            (&self.far, "198.18.1.2", "198.18.1.1"),
        ]
    }
}
