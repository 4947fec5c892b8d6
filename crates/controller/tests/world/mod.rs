//! Small clusters to decide on.
#![allow(dead_code)] // each test takes what it needs

use std::sync::Arc;

use ottla_controller::{
    AnyConfig, Ask, Command, Controller, ControllerSettings, Endpoint, MetadataImage, RegisterBroker,
};
use ottla_types::{Millis, Uuid};

/// A broker's registration.
pub(crate) fn broker(id: i32, rack: Option<&str>, fenced: bool) -> RegisterBroker {
    RegisterBroker {
        broker: id.into(),
        incarnation: uuid(1000 + id as u32),
        epoch: 1.into(),
        endpoints: vec![Endpoint { name: "PLAINTEXT".into(), host: "h".into(), port: 9092, security_protocol: 0 }],
        features: Vec::new(),
        rack: rack.map(str::to_owned),
        fenced,
        in_controlled_shutdown: false,
        directories: vec![uuid(2000 + id as u32)],
    }
}

/// An image that holds these brokers.
pub(crate) fn image_of(brokers: impl IntoIterator<Item = RegisterBroker>) -> MetadataImage {
    let records: Vec<_> = brokers.into_iter().map(Into::into).collect();
    MetadataImage::default().apply(&records, 1).unwrap().0
}

/// An id made of a number.
pub(crate) fn uuid(number: u32) -> Uuid {
    let mut bytes = [0; 16];
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    Uuid(bytes)
}

/// A controller that takes every configuration.
pub(crate) fn controller() -> Controller {
    Controller::new(ControllerSettings::default(), Arc::new(AnyConfig))
}

/// Decides `ask` and applies what was decided, checking the laws that hold for every decision.
pub(crate) fn ask<A: Ask>(image: &mut MetadataImage, ask: A) -> A::Reply {
    let command: Command = ask.into();
    let decision = controller().decide(image, Millis(0), &command);
    assert_eq!(controller().decide(image, Millis(0), &command), decision, "decided twice, decided otherwise");
    let (next, _) = image.apply(&decision.records, image.version() + 1).unwrap();
    *image = next;
    A::reply(decision.reply).unwrap()
}
