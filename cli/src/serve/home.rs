//! Where a server keeps what: in its data directory, or nowhere.

use std::path::{Path, PathBuf};

use anyhow::Result;
use apiserver::Storage;

use super::ServeOptions;
use crate::data_dir::{self, DataDir};

/// The folders of a server.
pub struct Home {
    /// None if nothing is kept.
    data_dir: Option<DataDir>,
    images: PathBuf,
}

impl Home {
    /// Takes the data directory, unless nothing is to be kept.
    pub fn open(options: &ServeOptions) -> Result<Self> {
        let given = || options.data_dir.clone().map_or_else(data_dir::of_user, Ok);
        let data_dir = if options.ephemeral { None } else { Some(DataDir::take(&given()?)?) };
        let images = match &options.image_dir {
            Some(folder) => folder.clone(),
            None => given()?.join("images"),
        };
        Ok(Self { data_dir, images })
    }

    /// The data directory, if anything is kept.
    pub fn data_dir(&self) -> Option<&DataDir> {
        self.data_dir.as_ref()
    }

    /// The folder of the images.
    pub fn images(&self) -> &Path {
        &self.images
    }

    /// Where objects are kept.
    pub fn storage(&self) -> Storage {
        self.data_dir.as_ref().map_or(Storage::Memory, |data_dir| Storage::File(data_dir.store()))
    }

    /// The folder of volumes and logs, if they are kept.
    pub fn node(&self) -> Option<PathBuf> {
        self.data_dir.as_ref().map(DataDir::node)
    }

    /// Lets other processes know where this one serves.
    pub fn tell(&self, server: &str) -> Result<()> {
        self.data_dir.as_ref().map_or(Ok(()), |data_dir| data_dir.tell(server))
    }
}
