//! A quorum on a simulated disk, and a listener that keeps what it hears.
#![allow(dead_code)] // each test takes what it needs

use std::{path::Path, sync::Arc};

use ottla_controller::{
    AnyConfig, Controller, ControllerSettings, CreateTopics, Endpoint, MetadataDelta, MetadataImage, NewTopic,
};
use ottla_disk::{Clock, Disk};
use ottla_quorum::{MetadataListener, NodeRegistration, Quorum, StartError, SubmitError, random_uuid};
use ottla_types::{Millis, Uuid};
use parking_lot::Mutex;

/// Always the same time.
#[derive(Debug)]
pub(crate) struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Millis {
        Millis(1)
    }
}

/// All that a listener heard.
#[derive(Debug, Default)]
pub(crate) struct Heard(pub(crate) Mutex<Vec<(MetadataDelta, Arc<MetadataImage>)>>);

impl MetadataListener for Heard {
    fn apply(&self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        self.0.lock().push((delta.clone(), Arc::clone(image)));
    }
}

/// Node 1.
pub(crate) fn node() -> NodeRegistration {
    NodeRegistration {
        broker: 1.into(),
        cluster_id: Uuid([9; 16]),
        features: Vec::new(),
        cluster_features: Vec::new(),
        endpoints: vec![Endpoint { name: "PLAINTEXT".into(), host: "h".into(), port: 9092, security_protocol: 0 }],
        rack: Some("r".into()),
        directories: vec![Uuid([7; 16])],
    }
}

pub(crate) fn controller() -> Controller {
    Controller::new(ControllerSettings::default(), Arc::new(AnyConfig))
}

pub(crate) async fn start_with(disk: Arc<dyn Disk>, heard: Arc<Heard>) -> Result<Quorum, StartError> {
    Quorum::start(disk, Path::new("/data"), node(), controller(), Arc::new(Stopped), heard).await
}

pub(crate) async fn start(disk: Arc<dyn Disk>) -> Result<Quorum, StartError> {
    start_with(disk, Arc::default()).await
}

/// Creates one topic; gives whether it was answered with success.
pub(crate) async fn create(quorum: &Quorum, name: &str, partitions: i32) -> Result<(), SubmitError> {
    let topic = NewTopic::new(name, random_uuid().unwrap(), partitions, 1);
    let ask = CreateTopics { topics: vec![topic], validate_only: false, placement_start: 0 };
    let replies = quorum.submit(ask).await?;
    replies[0].1.as_ref().unwrap();
    Ok(())
}

/// Names and partition counts of all topics.
pub(crate) fn topics(image: &MetadataImage) -> Vec<(String, usize)> {
    image.topics().map(|topic| (topic.name.to_string(), topic.partitions.len())).collect()
}
