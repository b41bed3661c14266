//! Files on the disk: the old one or the new one, never half of one.

use std::fs::{self, File, Permissions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::failure::Failure;
use crate::output;

/// No fleet file is longer.
const LONGEST: u64 = 1 << 20;

/// Replaces a file's text at once. Mode and owner stay; a symbolic link stays one.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let before = fs::metadata(&path)?;
    if !before.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut new = draft(folder)?;
    new.write_all(text.as_bytes())?;
    chown(new.path(), Some(before.uid()), Some(before.gid()))?;
    fs::set_permissions(new.path(), before.permissions())?;
    // On the disk before it has the name, or a crash could leave an empty file.
    new.as_file().sync_all()?;
    new.persist(&path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

/// A new file, whole or not at all. What is there already stays, and is an error.
pub(crate) fn create(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = folder(path);
    let mut new = draft(folder)?;
    new.write_all(bytes)?;
    fs::set_permissions(new.path(), Permissions::from_mode(mode))?;
    new.as_file().sync_all()?;
    new.persist_noclobber(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

/// Whether a file could be made there, or in the folder that its folder would be made in.
pub(crate) fn try_folder(path: &Path) -> io::Result<()> {
    let there = folder(path).ancestors().find(|folder| folder.is_dir());
    draft(there.unwrap_or(Path::new("/"))).map(drop)
}

/// A fleet file from the terminal, with a word on how to end it, or from a pipe.
pub(crate) fn pasted() -> Result<String, Failure> {
    if io::stdin().is_terminal() {
        output::remark("paste the fleet file here, and press Ctrl-D on a line of its own");
    }
    let mut text = String::new();
    let read = io::stdin().take(LONGEST).read_to_string(&mut text);
    let wrong = |why: &str| Failure::Other(format!("standard input: {why}: paste the fleet file"));
    read.map_err(|error| wrong(&error.to_string()))?;
    if text.trim().is_empty() {
        return Err(wrong("nothing came"));
    }
    Ok(text)
}

pub(crate) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) => Path::new("."),
        None => Path::new("/"),
    }
}

fn draft(folder: &Path) -> io::Result<NamedTempFile> {
    NamedTempFile::with_prefix_in(".pathweave-", folder)
}

pub(crate) fn unwritable(file: &Path, error: &io::Error) -> Failure {
    let text = format!(
        "{} cannot be written ({}), and is as it was: is the disk full, or read-only? are you \
         root?",
        file.display(),
        reason(error)
    );
    if error.kind() == io::ErrorKind::PermissionDenied {
        Failure::NotPermitted(text)
    } else {
        Failure::Other(text)
    }
}

/// Without the draft's name, which nobody knows.
fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code).to_string(),
        None => error.kind().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_replaced_file_keeps_its_mode_and_the_link_that_leads_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("real", &link).unwrap();
        replace(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_new_file_has_its_mode_from_the_start_and_an_old_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("private.key");
        create(&file, b"first", 0o600).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        let again = create(&file, b"second", 0o600).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&file).unwrap(), "first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_file_is_not_replaced_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        assert!(replace(&inner, "text").is_err());
        assert!(inner.is_dir());
    }
}
