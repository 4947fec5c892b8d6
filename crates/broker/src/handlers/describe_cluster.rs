//! `DescribeCluster`: the brokers as the asking client's listener reaches them.

use ottla_controller::MetadataImage;
use ottla_types::ErrorCode;
use ottla_wire::messages::{
    describe_cluster_request::DescribeClusterRequest,
    describe_cluster_response::{DescribeClusterBroker, DescribeClusterResponse},
};

use crate::{
    net::{Answer, Peer},
    node::Node,
    operations,
    service::ReplyTo,
};

// Whom a request is about.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(crate) fn handle(node: &Node, peer: &Peer, reply: &ReplyTo, request: &DescribeClusterRequest) -> Answer {
    reply.now(&match request.endpoint_type {
        BROKERS => described(node, &peer.listener, request),
        CONTROLLERS => refused(
            ErrorCode::MismatchedEndpointType,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER"
                .to_owned(),
        ),
        other => refused(ErrorCode::UnsupportedEndpointType, format!("Unsupported endpoint type {other}")),
    })
}

fn described(node: &Node, listener: &str, request: &DescribeClusterRequest) -> DescribeClusterResponse {
    let image = node.quorum.image();
    DescribeClusterResponse {
        error_code: ErrorCode::None.code(),
        cluster_id: image.cluster_id().to_string(),
        controller_id: node.broker_id.0,
        brokers: brokers(&image, listener, request.include_fenced_brokers),
        cluster_authorized_operations: if request.include_cluster_authorized_operations {
            operations::CLUSTER
        } else {
            operations::NOT_ASKED
        },
        ..DescribeClusterResponse::default()
    }
}

fn brokers(image: &MetadataImage, listener: &str, fenced: bool) -> Vec<DescribeClusterBroker> {
    let asked = image.brokers().values().filter(|broker| fenced || image.is_active(broker.broker));
    let reached = asked.filter_map(|broker| {
        let endpoint = broker.endpoints.iter().find(|endpoint| endpoint.name == listener)?;
        Some(DescribeClusterBroker {
            broker_id: broker.broker.0,
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            rack: broker.rack.clone(),
            is_fenced: broker.fenced,
        })
    });
    reached.collect()
}

fn refused(error: ErrorCode, message: String) -> DescribeClusterResponse {
    DescribeClusterResponse {
        error_code: error.code(),
        error_message: Some(message),
        ..DescribeClusterResponse::default()
    }
}
