//! `meta.properties`: to which cluster, node and directory id a log directory belongs. Java properties, version 1.

use std::{collections::HashMap, io, path::Path};

use ottla_disk::Disk;
use ottla_types::{BrokerId, Uuid};

use super::{CheckpointError, read_whole, write_atomic};

/// Name of the file.
pub(crate) const NAME: &str = "meta.properties";

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    /// `cluster.id`.
    pub cluster_id: String,
    /// `node.id`.
    pub node_id: BrokerId,
    /// `directory.id`; zero where the file has none, as older Kafka wrote it.
    pub directory_id: Uuid,
}

impl MetaProperties {
    /// Replaces the file in `dir`.
    ///
    /// # Errors
    /// As the file system says.
    pub fn write(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut writer = java_properties::PropertiesWriter::new(&mut bytes);
        let (node_id, directory_id) = (self.node_id.to_string(), self.directory_id.to_string());
        let fields = [
            ("cluster.id", &*self.cluster_id),
            ("directory.id", &directory_id),
            ("node.id", &node_id),
            ("version", "1"),
        ];
        for (key, value) in fields {
            writer.write(key, value).map_err(io::Error::other)?;
        }
        writer.finish().map_err(io::Error::other)?;
        write_atomic(disk, &dir.join(NAME), &bytes)
    }

    /// Reads the file in `dir`; none where there is none.
    ///
    /// # Errors
    /// The file cannot be read, is of another version, or lacks the cluster or the node.
    pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Self>, CheckpointError> {
        let path = dir.join(NAME);
        let bytes = read_whole(disk, &path).map_err(|source| CheckpointError::Io { path: path.clone(), source })?;
        let Some(bytes) = bytes else { return Ok(None) };
        let properties = java_properties::read(&*bytes).ok();
        let found = properties.as_ref().and_then(Self::from_properties);
        found.map(Some).ok_or(CheckpointError::Malformed { path, line: 1 })
    }

    fn from_properties(properties: &HashMap<String, String>) -> Option<Self> {
        let node_id = match properties.get("version")?.trim() {
            "1" => properties.get("node.id")?,
            "0" => properties.get("broker.id")?,
            _ => return None,
        };
        let directory_id = match properties.get("directory.id") {
            Some(id) => id.trim().parse().ok()?,
            None => Uuid::ZERO,
        };
        Some(Self {
            cluster_id: properties.get("cluster.id")?.clone(),
            node_id: BrokerId(node_id.trim().parse().ok()?),
            directory_id,
        })
    }
}
