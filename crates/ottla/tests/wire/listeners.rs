//! Several listeners: whoever comes in by one is told of the address that one is advertised with.

use std::path::Path;

use ottla_testkit::{BrokerProcess, Wire};
use ottla_wire::messages::{DescribeClusterRequest, MetadataRequest};
use tempfile::TempDir;

use crate::asking::Asking;

#[test]
fn each_listener_advertises_its_own_address_wherever_it_is_bound() {
    let dir = TempDir::new().unwrap();
    let arguments = [
        "--listen",
        "INSIDE://127.0.0.1:0",
        "--set",
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT",
        "--set",
        "advertised.listeners=PLAINTEXT://out.example:9999,INSIDE://in.example:9998",
    ];
    let broker =
        BrokerProcess::start(Path::new(env!("CARGO_BIN_EXE_ottla")), &dir.path().join("data"), &arguments).unwrap();
    let advertised = [("out.example".to_owned(), 9999), ("in.example".to_owned(), 9998)];
    assert_eq!(broker.addresses().len(), advertised.len());
    for (address, advertised) in broker.addresses().iter().zip(advertised) {
        let mut client = Asking::over(Wire::connect(*address).unwrap());
        let metadata = client.ask(13, &MetadataRequest::default());
        let told: Vec<_> = metadata.brokers.into_iter().map(|broker| (broker.host, broker.port)).collect();
        assert_eq!(told, std::slice::from_ref(&advertised), "Metadata at {address}");
        let cluster = client.ask(2, &DescribeClusterRequest { endpoint_type: 1, ..Default::default() });
        let told: Vec<_> = cluster.brokers.into_iter().map(|broker| (broker.host, broker.port)).collect();
        assert_eq!(told, [advertised], "DescribeCluster at {address}");
    }
}
