//! A Unix socket under its name, for the owner and the group.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

/// The group may connect, nobody else.
const MODE: u32 = 0o660;

/// The socket appears under its name with its final permissions: there is no moment in which
/// anyone may connect. One that a dead daemon left is replaced by the same step; what is no
/// socket, or is another process's, is left alone.
pub(super) fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => return Err(in_the_way("what is no socket")),
        Ok(_) if is_served(path) => return Err(in_the_way("another process's socket")),
        Ok(_) | Err(_) => {}
    }
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&draft)?;
    fs::set_permissions(&draft, Permissions::from_mode(MODE))?;
    fs::rename(&draft, path)?;
    Ok(listener)
}

fn in_the_way(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::AddrInUse,
        format!("{what} has this name already"),
    )
}

/// Somebody listens; one that is too busy to answer too.
pub(super) fn is_served(path: &Path) -> bool {
    let connect = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    match connect() {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let held = listen(&path).unwrap();
        let refused = listen(&path).unwrap_err().to_string();
        assert_eq!(refused, "another process's socket has this name already");
        drop(held);
        drop(listen(&path).unwrap());

        let file = folder.path().join("fleet.toml");
        fs::write(&file, "precious").unwrap();
        let refused = listen(&file).unwrap_err().to_string();
        assert_eq!(refused, "what is no socket has this name already");
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    }
}
