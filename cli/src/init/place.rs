//! The key and the fleet file come onto the disk together, or neither does.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use pathweaved::config::{self, KeyFileError};
use pathweaved::names::PrivateKey;

use crate::disk::{self, unwritable};
use crate::failure::Failure;
use crate::keys;

/// This site's key, and whether it has still to be written.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) key: PrivateKey,
    pub(super) is_new: bool,
}

impl Key {
    /// One that is there is used.
    pub(super) fn find_or_make(file: &Path) -> Result<Self, Failure> {
        match config::read_private_key(file) {
            Ok(key) => Ok(Self { key, is_new: false }),
            Err(KeyFileError::Missing(_)) => Ok(Self {
                key: keys::random()?,
                is_new: true,
            }),
            Err(error @ KeyFileError::NotPermitted { .. }) => {
                Err(Failure::NotPermitted(error.to_string()))
            }
            Err(error) => Err(Failure::Configuration(error.to_string())),
        }
    }
}

/// What is written where.
#[derive(Debug)]
pub(super) struct Files<'a> {
    pub(super) config: &'a Path,
    pub(super) text: &'a str,
    /// The fleet file is there, and may be replaced: nothing of it is lost.
    pub(super) replaces: bool,
    pub(super) key_file: &'a Path,
    pub(super) key: &'a Key,
}

/// Before anything is asked: whether it could be written at all.
pub(super) fn try_out(files: [&Path; 2]) -> Result<(), Failure> {
    for file in files {
        disk::try_folder(file).map_err(|error| unwritable(file, &error))?;
    }
    Ok(())
}

/// What was made is removed again when the rest fails.
pub(super) fn write(files: &Files<'_>) -> Result<(), Failure> {
    let mut made = Made::default();
    let written = all(files, &mut made);
    if written.is_err() {
        made.undo();
    }
    written
}

fn all(files: &Files<'_>, made: &mut Made) -> Result<(), Failure> {
    for file in [files.key_file, files.config] {
        let folders = made.folders(disk::folder(file));
        folders.map_err(|error| unwritable(file, &error))?;
    }
    if files.key.is_new {
        let mut text = files.key.key.to_text();
        text.push('\n');
        let file = files.key_file;
        disk::create(file, text.as_bytes(), 0o600).map_err(|error| unwritable(file, &error))?;
        made.files.push(file.to_path_buf());
    }
    let written = if files.replaces {
        disk::replace(files.config, files.text)
    } else {
        disk::create(files.config, files.text.as_bytes(), 0o644)
    };
    written.map_err(|error| unwritable(files.config, &error))
}

#[derive(Debug, Default)]
struct Made {
    folders: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Made {
    fn folders(&mut self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        self.folders(disk::folder(folder))?;
        DirBuilder::new().mode(0o755).create(folder)?;
        self.folders.push(folder.to_path_buf());
        Ok(())
    }

    /// As far as it can: the failure itself is what is told.
    fn undo(&self) {
        let files = self.files.iter().map(fs::remove_file);
        let folders = self.folders.iter().rev().map(fs::remove_dir);
        files.chain(folders).for_each(drop);
    }
}
