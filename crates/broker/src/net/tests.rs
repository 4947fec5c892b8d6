//! Connections over real sockets on loopback: order, limits, hostile and slow peers.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use ottla_disk::{Clock, Disk, FileSlice, OpenMode};
use ottla_types::Millis;
use ottla_wire::Segment;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

use super::*;
use crate::metrics::NetworkMetrics;

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Millis {
        Millis(0)
    }
}

/// Echoes a frame; one that begins with `w` waits to be released, `x` too and holds up what follows, `n` has no answer, `c`
/// closes, `f` is answered with a range of a file.
#[derive(Default)]
struct Echo {
    calls: AtomicUsize,
    parked: Mutex<Vec<oneshot::Sender<()>>>,
    file: Option<FileSlice>,
}

impl Service for Echo {
    fn call(&self, _: &mut Peer, frame: Bytes, _: Instant) -> Answer {
        self.calls.fetch_add(1, SeqCst);
        let first = frame.first().copied();
        let echo = framed(frame);
        match first {
            Some(b'w') => Answer::Later(self.park(echo)),
            Some(b'x') => Answer::Exclusive(self.park(echo)),
            Some(b'n') => Answer::Nothing,
            Some(b'c') => Answer::Close,
            Some(b'f') => Answer::Now(untimed(self.file.iter().cloned().map(Segment::File).collect())),
            _ => Answer::Now(echo),
        }
    }
}

impl Echo {
    fn park(&self, echo: Frame) -> FrameFuture {
        let (release, released) = oneshot::channel();
        self.parked.lock().push(release);
        Box::pin(async move {
            let _ = released.await;
            Some(echo)
        })
    }

    fn release_all(&self) {
        for parked in self.parked.lock().drain(..) {
            let _ = parked.send(());
        }
    }

    async fn called(&self, times: usize) {
        let waited = timeout(PATIENCE, async {
            while self.calls.load(SeqCst) < times {
                tokio::task::yield_now().await;
            }
        });
        assert!(waited.await.is_ok(), "{times} calls expected, {} came", self.calls.load(SeqCst));
    }
}

fn framed(body: Bytes) -> Frame {
    untimed(vec![Segment::Bytes(Bytes::copy_from_slice(&(body.len() as i32).to_be_bytes())), Segment::Bytes(body)])
}

fn untimed(segments: Vec<Segment>) -> Frame {
    Frame { segments, timing: None }
}

struct Server {
    address: std::net::SocketAddr,
    service: Arc<Echo>,
    memory: Arc<FrameMemory>,
    connections: Arc<Connections>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn start(service: Echo) -> Server {
    let bound = Bound::bind("PLAINTEXT", "127.0.0.1", 0, 50, None).await.unwrap();
    let address = bound.address().unwrap();
    let limits = ConnectionLimits {
        all: Limit { connections_max: 1_000, per_second_max: i32::MAX },
        per_listener: std::collections::HashMap::new(),
        connections_per_ip_max: 300,
        per_ip_overrides: std::collections::HashMap::from([(IpAddr::from([127, 0, 0, 7]), 0)]),
        idle_max_ms: -1,
    };
    let (service, connections) = (Arc::new(service), Arc::new(Connections::new(limits)));
    let memory = Arc::new(FrameMemory::new(64 << 20));
    let settings = ConnectionSettings {
        memory: Arc::clone(&memory),
        frame_bytes_max: 100 << 20,
        send_buffer_bytes: Some(100_000),
        clock: Arc::new(StoppedClock),
        metrics: Arc::new(NetworkMetrics::default()),
    };
    let task = tokio::spawn(serve(bound, Arc::clone(&connections), settings, Arc::clone(&service)));
    Server { address, service, memory, connections, task }
}

async fn send(stream: &mut TcpStream, body: &[u8]) {
    stream.write_all(&(body.len() as i32).to_be_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
}

async fn receive(stream: &mut TcpStream) -> Vec<u8> {
    let read = async {
        let len = stream.read_i32().await.unwrap();
        let mut body = vec![0; len as usize];
        stream.read_exact(&mut body).await.unwrap();
        body
    };
    timeout(PATIENCE, read).await.expect("an answer")
}

async fn ended(stream: &mut TcpStream) {
    let read = timeout(PATIENCE, stream.read(&mut [0; 16])).await.expect("the end of the connection");
    assert!(matches!(read, Ok(0) | Err(_)), "bytes came where the connection should have ended");
}

#[tokio::test]
async fn answers_keep_the_order_of_requests_while_later_ones_are_taken_in() {
    let server = start(Echo::default()).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    for body in [&b"wait"[..], b"nothing", b"ready", b"wait too"] {
        send(&mut client, body).await;
    }
    server.service.called(4).await;
    server.service.release_all();
    assert_eq!(receive(&mut client).await, b"wait");
    assert_eq!(receive(&mut client).await, b"ready");
    assert_eq!(receive(&mut client).await, b"wait too");
}

#[tokio::test]
async fn an_exclusive_request_holds_back_those_behind_it() {
    let server = start(Echo::default()).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    send(&mut client, b"x").await;
    send(&mut client, b"behind").await;
    server.service.called(1).await;
    let mut other = TcpStream::connect(server.address).await.unwrap();
    send(&mut other, b"elsewhere").await;
    assert_eq!(receive(&mut other).await, b"elsewhere");
    assert_eq!(server.service.calls.load(SeqCst), 2, "the request behind was looked at");
    server.service.release_all();
    assert_eq!(receive(&mut client).await, b"x");
    assert_eq!(receive(&mut client).await, b"behind");
}

#[tokio::test]
async fn frames_arrive_whole_however_they_were_cut() {
    let server = start(Echo::default()).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    let mut bytes = Vec::new();
    for len in [0_i32, 1, 3, 20_000, 5, 300_000, 16_384, 16_380] {
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend((0..len).map(|i| (i % 23) as u8));
    }
    let (mut from, mut to) = client.split();
    let write = async {
        for part in bytes.chunks(7_001) {
            to.write_all(part).await.unwrap();
        }
    };
    let mut echoed = vec![0; bytes.len()];
    let read = async { from.read_exact(&mut echoed).await.map(drop) };
    let (_, read) = timeout(PATIENCE, async { tokio::join!(write, read) }).await.unwrap();
    read.unwrap();
    assert!(echoed == bytes, "the echo differs");
}

#[tokio::test]
async fn a_length_out_of_bounds_ends_only_its_connection() {
    let server = start(Echo::default()).await;
    let mut good = TcpStream::connect(server.address).await.unwrap();
    for length in [-1, i32::MIN, i32::MAX, (100 << 20) + 1] {
        let mut bad = TcpStream::connect(server.address).await.unwrap();
        bad.write_all(&length.to_be_bytes()).await.unwrap();
        ended(&mut bad).await;
    }
    send(&mut good, b"still here").await;
    assert_eq!(receive(&mut good).await, b"still here");
}

#[tokio::test]
async fn announcing_much_and_sending_little_takes_no_budget() {
    let server = start(Echo::default()).await;
    let mut half_sent = Vec::new();
    for _ in 0..200 {
        let mut client = TcpStream::connect(server.address).await.unwrap();
        client.write_all(&(100_i32 << 20).to_be_bytes()).await.unwrap();
        client.write_all(&[0; 1024]).await.unwrap();
        half_sent.push(client);
    }
    let mut good = TcpStream::connect(server.address).await.unwrap();
    let body = vec![7; 3 << 20];
    send(&mut good, &body).await;
    assert!(receive(&mut good).await == body, "the echo differs");
    assert_eq!(server.connections.count(), 201);
    assert!(server.memory.leased_bytes() <= 3 << 21, "{} bytes are leased", server.memory.leased_bytes());
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_not_read_from() {
    let server = start(Echo::default()).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    let sending = async {
        for _ in 0..10_000 {
            send(&mut client, &[b'w'; 100]).await;
        }
    };
    let stuck = timeout(Duration::from_millis(300), sending).await;
    let taken_in = server.service.calls.load(SeqCst);
    assert!(stuck.is_ok() || taken_in > 0);
    assert!(taken_in <= 128, "{taken_in} requests wait on one connection");
}

#[tokio::test]
async fn a_file_range_arrives_between_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let disk = ottla_log::StdDisk;
    let file = disk.open(&dir.path().join("f"), OpenMode::CreateNew).unwrap();
    let content: Vec<u8> = (0..2_000_000_u32).map(|i| (i / 7) as u8).collect();
    file.write_all_at(&mut [std::io::IoSlice::new(&content)], 0).unwrap();
    for len in [1, 8_192, 8_193, 1_500_000] {
        let slice = FileSlice { file: Arc::clone(&file), position: 1_000, len };
        let server = start(Echo { file: Some(slice), ..Echo::default() }).await;
        let mut client = TcpStream::connect(server.address).await.unwrap();
        send(&mut client, b"f").await;
        send(&mut client, b"after").await;
        let mut range = vec![0; len];
        timeout(PATIENCE, client.read_exact(&mut range)).await.unwrap().unwrap();
        assert!(range == content[1_000..1_000 + len], "the range of {len} bytes differs");
        assert_eq!(receive(&mut client).await, b"after");
    }
}

#[tokio::test]
async fn closing_answers_what_came_before_and_limits_refuse_at_once() {
    let server = start(Echo::default()).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    send(&mut client, b"before").await;
    send(&mut client, b"c").await;
    assert_eq!(receive(&mut client).await, b"before");
    ended(&mut client).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.7:0".parse().unwrap()).unwrap();
    let mut refused = socket.connect(server.address).await.unwrap();
    ended(&mut refused).await;
}

#[tokio::test]
async fn a_connection_over_the_limit_waits_until_there_is_room() {
    let server = start(Echo::default()).await;
    let limits = |connections_max| ConnectionLimits {
        all: Limit { connections_max, per_second_max: i32::MAX },
        per_listener: std::collections::HashMap::new(),
        connections_per_ip_max: 300,
        per_ip_overrides: std::collections::HashMap::new(),
        idle_max_ms: -1,
    };
    server.connections.set_limits(limits(1));
    let greeted = async || {
        let mut client = TcpStream::connect(server.address).await.unwrap();
        send(&mut client, b"hello").await;
        client
    };
    let mut first = greeted().await;
    receive(&mut first).await;
    let mut second = greeted().await;
    let mut third = greeted().await;
    let waited = timeout(Duration::from_millis(100), second.read_u8()).await;
    assert!(waited.is_err(), "{waited:?}");
    drop(first);
    assert_eq!(receive(&mut second).await, b"hello");
    server.connections.set_limits(limits(2));
    assert_eq!(receive(&mut third).await, b"hello");
}

#[tokio::test]
async fn every_connection_ends_when_asked() {
    let server = start(Echo::default()).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut client = TcpStream::connect(server.address).await.unwrap();
        send(&mut client, b"hello").await;
        receive(&mut client).await;
        clients.push(client);
    }
    server.connections.end_all();
    timeout(PATIENCE, server.connections.all_ended()).await.unwrap();
    for client in &mut clients {
        ended(client).await;
    }
}
