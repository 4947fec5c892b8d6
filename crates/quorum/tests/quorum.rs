//! A quorum of one: answers, listeners, restarts.
#![allow(clippy::unwrap_used)] // a test

mod world;

use std::sync::Arc;

use ottla_controller::{CreateTopics, DeleteTopics, MetadataDelta, MetadataImage, NewTopic, TopicRef};
use ottla_disk::Disk;
use ottla_quorum::{Quorum, StartError, SubmitError, random_uuid};
use ottla_testkit::{Fault, OperationKind, SimDisk};
use ottla_types::{BrokerId, ErrorCode};
use world::{Heard, create, node, start, start_with, topics};

#[tokio::test]
async fn a_new_quorum_has_an_id_and_its_node() {
    let quorum = start(Arc::new(SimDisk::new(1))).await.unwrap();
    let image = quorum.image();
    assert!(!image.cluster_id().is_zero());
    let broker = image.broker(1.into()).unwrap();
    assert_eq!((broker.fenced, broker.rack.as_deref(), broker.epoch), (false, Some("r"), quorum.broker_epoch()));
    assert!(quorum.is_active_controller());
    assert_eq!(quorum.voters().into_iter().collect::<Vec<_>>(), [BrokerId(1)]);
    quorum.shutdown().await;
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let disk = SimDisk::new(1);
    let quorum = start(Arc::new(disk.clone())).await.unwrap();
    create(&quorum, "x", 3).await.unwrap();
    create(&quorum, "y", 1).await.unwrap();
    assert_eq!(topics(&quorum.image()), [("x".into(), 3), ("y".into(), 1)]);
    let ids = quorum.allocate_producer_ids().await.unwrap();
    let (cluster, epoch) = (quorum.image().cluster_id(), quorum.broker_epoch());
    quorum.shutdown().await;

    let again = start(Arc::new(disk)).await.unwrap();
    assert_eq!(topics(&again.image()), [("x".into(), 3), ("y".into(), 1)]);
    assert_eq!(again.image().cluster_id(), cluster);
    assert!(again.broker_epoch() > epoch);
    assert_eq!(again.allocate_producer_ids().await.unwrap().start, ids.end);
    again.shutdown().await;
}

#[tokio::test]
async fn a_listener_hears_the_whole_image_first_and_then_each_change_in_order() {
    let disk = SimDisk::new(1);
    let quorum = start(Arc::new(disk.clone())).await.unwrap();
    create(&quorum, "old", 1).await.unwrap();
    quorum.shutdown().await;

    let heard = Arc::new(Heard::default());
    let quorum = start_with(Arc::new(disk), Arc::clone(&heard)).await.unwrap();
    create(&quorum, "x", 2).await.unwrap();
    quorum.submit(DeleteTopics { topics: vec![TopicRef::Name("old".into())] }).await.unwrap();
    let heard = heard.0.lock();
    let (first, image) = &heard[0];
    assert_eq!(first, &MetadataDelta::between(&MetadataImage::default(), image));
    assert_eq!((topics(image), image.brokers().len()), (vec![("old".into(), 1)], 1));
    assert_eq!(heard.len(), 3);
    assert_eq!((heard[1].0.created.len(), heard[2].0.deleted.len()), (1, 1));
    assert!(heard.windows(2).all(|pair| pair[1].0.from_version == pair[0].0.to_version));
    assert_eq!(topics(&quorum.image()), topics(&heard[2].1));
}

#[tokio::test]
async fn many_askers_share_entries_and_each_gets_its_own_answer() {
    let heard = Arc::new(Heard::default());
    let quorum = Arc::new(start_with(Arc::new(SimDisk::new(1)), Arc::clone(&heard)).await.unwrap());
    let asks = (0..200).map(|at| {
        let quorum = Arc::clone(&quorum);
        tokio::spawn(async move { create(&quorum, &format!("t{at}"), 1).await })
    });
    for asked in asks.collect::<Vec<_>>() {
        asked.await.unwrap().unwrap();
    }
    assert_eq!(quorum.image().topic_count(), 200);
    assert!(heard.0.lock().len() < 100, "no two questions were committed together");
}

#[tokio::test]
async fn after_the_stop_nothing_is_answered() {
    let quorum = start(Arc::new(SimDisk::new(1))).await.unwrap();
    quorum.shutdown().await;
    assert_eq!(create(&quorum, "x", 1).await, Err(SubmitError::Stopped));
    quorum.shutdown().await;
}

#[tokio::test]
async fn a_directory_in_use_or_of_another_node_is_refused() {
    let disk = SimDisk::new(1);
    let quorum = start(Arc::new(disk.clone())).await.unwrap();
    assert!(matches!(start(Arc::new(disk.clone())).await, Err(StartError::Open(_))));
    quorum.shutdown().await;
    let other = ottla_quorum::NodeRegistration { broker: 2.into(), ..node() };
    let started = Quorum::start(
        Arc::new(disk),
        std::path::Path::new("/data"),
        other,
        world::controller(),
        Arc::new(world::Stopped),
        Arc::new(Heard::default()),
    );
    let error = started.await.unwrap_err();
    assert_eq!(error.to_string(), "metadata log: /data/__ottla_metadata: belongs to node 1, not to node 2");
}

#[tokio::test]
async fn a_snapshot_takes_the_place_of_the_log() {
    let disk = SimDisk::new(1);
    let quorum = start(Arc::new(disk.clone())).await.unwrap();
    for at in 0..20 {
        create(&quorum, &format!("t{at}"), 2).await.unwrap();
    }
    quorum.snapshot().await.unwrap();
    quorum.snapshot().await.unwrap();
    create(&quorum, "later", 1).await.unwrap();
    let before = quorum.image();
    quorum.shutdown().await;
    let names = |disk: &SimDisk| {
        let listed = disk.list("/data/__ottla_metadata".as_ref()).unwrap();
        listed.into_iter().map(|entry| entry.name).filter(|name| name.contains('0')).collect::<Vec<_>>()
    };
    let found = names(&disk);
    assert_eq!(found.len(), 2, "one snapshot and the log after it: {found:?}");
    assert!(!found.contains(&"log-00000000000000000000".to_owned()), "{found:?}");

    let heard = Arc::new(Heard::default());
    let again = start_with(Arc::new(disk.clone()), Arc::clone(&heard)).await.unwrap();
    assert_eq!(topics(&again.image()), topics(&before));
    assert_eq!(again.image().cluster_id(), before.cluster_id());
    assert_eq!(heard.0.lock().len(), 1);
    again.snapshot().await.unwrap();
    again.shutdown().await;
    assert_eq!(names(&disk).len(), 1, "{:?}", names(&disk));
    let last = start(Arc::new(disk)).await.unwrap();
    assert_eq!(topics(&last.image()), topics(&before));
}

#[tokio::test]
async fn questions_that_are_committed_together_see_one_another() {
    let quorum = start(Arc::new(SimDisk::new(1))).await.unwrap();
    let ask = || {
        let topic = NewTopic::new("same", random_uuid().unwrap(), 1, 1);
        quorum.submit(CreateTopics { topics: vec![topic], validate_only: false, placement_start: 0 })
    };
    let (a, b, c) = tokio::join!(ask(), ask(), ask());
    let made = [a, b, c].map(|replies| replies.unwrap()[0].1.is_ok());
    assert_eq!(made, [true, false, false]);
    create(&quorum, "other", 1).await.unwrap();
}

#[tokio::test]
async fn nobody_sees_a_change_before_the_listener_did() {
    /// Holds the quorum's published image against what it is told.
    #[derive(Default)]
    struct First(parking_lot::Mutex<Option<Arc<Quorum>>>, std::sync::atomic::AtomicUsize);
    impl ottla_quorum::MetadataListener for First {
        fn apply(&self, delta: &MetadataDelta, _: &Arc<MetadataImage>) {
            if let Some(quorum) = &*self.0.lock() {
                assert!(delta.created.iter().all(|id| quorum.image().topic_by_id(*id).is_none()));
                self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }
    let first = Arc::new(First::default());
    let disk = Arc::new(SimDisk::new(1));
    let started = Quorum::start(
        disk,
        std::path::Path::new("/data"),
        node(),
        world::controller(),
        Arc::new(world::Stopped),
        first.clone(),
    );
    let quorum = Arc::new(started.await.unwrap());
    *first.0.lock() = Some(Arc::clone(&quorum));
    create(&quorum, "x", 1).await.unwrap();
    assert_eq!(first.1.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert!(quorum.image().topic("x").is_some());
    first.0.lock().take();
}

#[tokio::test]
async fn a_full_disk_refuses_changes_until_there_is_room_and_a_broken_one_is_told() {
    let disk = SimDisk::new(1);
    let quorum = Arc::new(start(Arc::new(disk.clone())).await.unwrap());
    create(&quorum, "a", 1).await.unwrap();
    disk.inject(|operation| {
        let written = usize::try_from(operation.number % 50).unwrap();
        (operation.kind == OperationKind::Write).then(|| Fault::enospc().after_writing(written))
    });
    let waiting = tokio::spawn({
        let quorum = Arc::clone(&quorum);
        async move { create(&quorum, "b", 1).await }
    });
    while !quorum.is_full() {
        tokio::task::yield_now().await;
    }
    assert_eq!(create(&quorum, "c", 1).await, Err(SubmitError::Full));
    assert_eq!(SubmitError::Full.code(), ErrorCode::KafkaStorageError);
    disk.heal();
    waiting.await.unwrap().unwrap();
    while quorum.is_full() {
        tokio::task::yield_now().await; // until the reserve is there
    }
    create(&quorum, "d", 1).await.unwrap();
    let before = topics(&quorum.image());
    let disk = disk.kill();
    let quorum = start(Arc::new(disk.clone())).await.unwrap();
    assert_eq!(topics(&quorum.image()), before);

    disk.inject(|operation| (operation.kind == OperationKind::SyncData).then(Fault::enospc));
    let error = create(&quorum, "e", 1).await.unwrap_err();
    assert_eq!(error, SubmitError::Stopped, "what was not synced is not waited out");
    assert!(quorum.failed().await.contains("not durable"));
}
