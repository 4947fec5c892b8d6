//! The cases, by name.

use crate::brokers::Side;

/// Who produces or consumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    /// librdkafka, through the Rust client.
    Librdkafka,
    /// Apache Kafka's Java client.
    Java,
    /// A loop that asks and throws away what comes.
    Bare,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Start on a formatted folder, idle memory, stop.
    StartStop,
    /// Send records of a size as fast as they are acknowledged.
    Produce(Client, u32, &'static str),
    /// Read records of a size that are in the page cache.
    Consume(Client, u32),
    /// Read them with Kafka's ConsumerPerformance, in a group.
    ConsumerPerf(u32),
    /// Send records of a size at a fixed rate, without linger.
    Latency(u32),
    /// Heartbeats and commits of so many groups with so many members each.
    Groups(u32, u32),
    /// Restart so many members of one group one after the other; of the consumer protocol, else of the classic one.
    Rolling(u32, bool),
    /// Consume 1 KB, transform, produce in transactions that are committed at an interval of so many milliseconds.
    Transactions(u32),
    /// Compaction of a topic with records of a size, of which each key has ten.
    Compact(u32),
    /// So many partitions: what they cost.
    Many(u32),
    /// Batches to so many partitions, each flushed before it is acknowledged.
    Synced(u32),
    /// Batches to ten partitions with `acks` (−1 for all), to a topic with this setting where there is one: under full load, and one
    /// after the other.
    Answered(i16, &'static str),
    /// Append to one file and flush it, batch by batch, without a broker.
    BareSynced,
    /// Append to as many files in turn as often as requests are under way, then make all of that durable, without a broker.
    BareGroup(u32, Commit),
    /// Receive from a socket and write to files, without a broker.
    BareReceive(Written),
    /// Append batches to as many files in turn as a topic has partitions, their blocks set aside before or not. No broker.
    BareAppend(Blocks),
    /// Send a file with `sendfile`, without a broker.
    BareSendfile(Drain, Written),
    /// Send ranges of so many bytes, each behind a small head: read and written with it, or with `sendfile`. No broker.
    BareRange(u32, Sending),
}

/// How bytes get into files: they lie in the page cache in pieces that are as large as this lets them be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// A power of two at a time, into one file.
    Whole,
    /// In batches as clients make them, as into the partitions of a topic.
    InBatches,
}

/// When the file system looks for the blocks of a file that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blocks {
    /// When it writes them back; each append is promised that there will be some.
    Later,
    /// Some way ahead of the end, for many appends at once.
    SetAside,
}

/// How a range of a file gets to a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sending {
    /// Read into memory, then one `writev` with its head.
    Copied,
    /// The head, then `sendfile`.
    Sendfile,
}

/// Who reads what a bare loop sends, and throws it away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drain {
    /// Reads 128 KB, and waits for them in the call that reads.
    Blocking,
    /// Waits with `poll` and takes what is there, as librdkafka does: it sleeps and is woken for every piece that comes.
    Polling,
}

/// How many appends to many files are made durable together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Commit {
    /// `fdatasync` of each file, by a few threads.
    EachFile,
    /// One `syncfs`.
    Volume,
    /// All of it once more in one file and one `fdatasync`; `syncfs` before that file begins anew.
    SharedFile,
}

/// One case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// What it is called in arguments and results.
    pub(crate) name: &'static str,
    /// What is done.
    pub(crate) work: Work,
    /// Broker and client each have a processor of their own.
    pub(crate) confined: bool,
    /// Ottla alone, with `ottla.produce.validation=header` on the topic.
    pub(crate) header_only: bool,
}

/// How the broker of a case is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    /// As users start it.
    Plain,
    /// On a processor of its own.
    Confined,
    /// Looking for something to compact every tenth of a second.
    Compacting,
    /// One for the case, which stops and starts it.
    Alone,
}

impl Case {
    /// True when the case needs a broker that it does not start itself.
    pub(crate) fn needs_broker(&self) -> bool {
        self.work != Work::StartStop && !self.is_bare()
    }

    /// How its broker is started.
    pub(crate) fn setting(&self) -> Setting {
        match self.work {
            Work::Compact(_) => Setting::Compacting,
            Work::Many(_) | Work::Synced(_) | Work::Answered(..) => Setting::Alone,
            _ if self.confined => Setting::Confined,
            _ => Setting::Plain,
        }
    }

    /// True where such a broker can do what the case asks.
    pub(crate) fn suits(&self, side: Side) -> bool {
        let copies = matches!(self.work, Work::Produce(..) | Work::Consume(..) | Work::Latency(_));
        match side {
            Side::Ottla => true,
            Side::StandIn => copies && !self.header_only,
            Side::Kafka | Side::Bare => !self.header_only,
        }
    }

    /// True when the case measures the machine and no broker.
    pub(crate) fn is_bare(&self) -> bool {
        matches!(
            self.work,
            Work::BareReceive(..)
                | Work::BareAppend(..)
                | Work::BareSendfile(..)
                | Work::BareSynced
                | Work::BareGroup(..)
                | Work::BareRange(..)
        )
    }
}

const fn case(name: &'static str, work: Work) -> Case {
    Case { name, work, confined: false, header_only: false }
}

const fn confined(name: &'static str, work: Work) -> Case {
    Case { name, work, confined: true, header_only: false }
}

const fn header_only(name: &'static str, work: Work) -> Case {
    Case { name, work, confined: false, header_only: true }
}

use Blocks::{Later, SetAside};
use Client::{Bare, Java, Librdkafka};
use Commit::{EachFile, SharedFile, Volume};
use Drain::{Blocking, Polling};
use Sending::{Copied, Sendfile};
use Work::{
    Answered, BareAppend, BareGroup, BareRange, BareReceive, BareSendfile, Compact, Consume, ConsumerPerf, Groups,
    Latency, Many, Produce, Rolling, Synced, Transactions,
};
use Written::{InBatches, Whole};

/// In the order in which they are run.
pub(crate) const ALL: [Case; 78] = [
    case("bare-receive", BareReceive(Whole)),
    case("bare-receive-batches", BareReceive(InBatches)),
    case("bare-append", BareAppend(Later)),
    case("bare-append-set-aside", BareAppend(SetAside)),
    case("bare-sendfile", BareSendfile(Blocking, Whole)),
    case("bare-sendfile-polled", BareSendfile(Polling, Whole)),
    case("bare-sendfile-batches", BareSendfile(Blocking, InBatches)),
    case("bare-sendfile-batches-polled", BareSendfile(Polling, InBatches)),
    case("bare-synced", Work::BareSynced),
    case("bare-group-1000-each-file", BareGroup(1_000, EachFile)),
    case("bare-group-1000-volume", BareGroup(1_000, Volume)),
    case("bare-group-1000-shared-file", BareGroup(1_000, SharedFile)),
    case("bare-group-5000-each-file", BareGroup(5_000, EachFile)),
    case("bare-group-5000-volume", BareGroup(5_000, Volume)),
    case("bare-group-5000-shared-file", BareGroup(5_000, SharedFile)),
    case("range-4k-copied", BareRange(4 << 10, Copied)),
    case("range-4k-sendfile", BareRange(4 << 10, Sendfile)),
    case("range-8k-copied", BareRange(8 << 10, Copied)),
    case("range-8k-sendfile", BareRange(8 << 10, Sendfile)),
    case("range-16k-copied", BareRange(16 << 10, Copied)),
    case("range-16k-sendfile", BareRange(16 << 10, Sendfile)),
    case("range-64k-copied", BareRange(64 << 10, Copied)),
    case("range-64k-sendfile", BareRange(64 << 10, Sendfile)),
    case("range-1m-copied", BareRange(1 << 20, Copied)),
    case("range-1m-sendfile", BareRange(1 << 20, Sendfile)),
    case("start-stop", Work::StartStop),
    case("produce-1k-acks1-librdkafka", Produce(Librdkafka, 1024, "1")),
    case("produce-1k-acksall-librdkafka", Produce(Librdkafka, 1024, "all")),
    header_only("produce-1k-header-librdkafka", Produce(Librdkafka, 1024, "all")),
    case("produce-1k-acks1-java", Produce(Java, 1024, "1")),
    case("produce-1k-acksall-java", Produce(Java, 1024, "all")),
    case("consume-1k-librdkafka", Consume(Librdkafka, 1024)),
    case("consume-1k-java", Consume(Java, 1024)),
    case("consume-1k-bare", Consume(Bare, 1024)),
    case("consume-1k-perf", ConsumerPerf(1024)),
    case("latency-1k-java", Latency(1024)),
    case("groups-1000x10", Groups(1000, 10)),
    case("rolling-50-classic", Rolling(50, false)),
    case("rolling-50-consumer", Rolling(50, true)),
    case("transactions-1k-10ms-java", Transactions(10)),
    case("transactions-1k-100ms-java", Transactions(100)),
    case("transactions-1k-1s-java", Transactions(1_000)),
    case("produce-100b-acks1-librdkafka", Produce(Librdkafka, 100, "1")),
    case("produce-100b-acksall-librdkafka", Produce(Librdkafka, 100, "all")),
    header_only("produce-100b-header-librdkafka", Produce(Librdkafka, 100, "all")),
    case("produce-100b-acks1-java", Produce(Java, 100, "1")),
    case("produce-100b-acksall-java", Produce(Java, 100, "all")),
    case("consume-100b-librdkafka", Consume(Librdkafka, 100)),
    case("consume-100b-java", Consume(Java, 100)),
    case("consume-100b-bare", Consume(Bare, 100)),
    case("consume-100b-perf", ConsumerPerf(100)),
    case("compact-1k", Compact(1024)),
    case("compact-100b", Compact(100)),
    case("partitions-10", Many(10)),
    case("partitions-64", Many(64)),
    case("partitions-1000", Many(1_000)),
    case("partitions-5000", Many(5_000)),
    case("partitions-50000", Many(50_000)),
    case("synced-1", Synced(1)),
    case("synced-100", Synced(100)),
    case("synced-1000", Synced(1_000)),
    case("synced-5000", Synced(5_000)),
    case("answered-acks0-unflushed", Answered(0, "")),
    case("answered-acks1-unflushed", Answered(1, "")),
    case("answered-all-unflushed", Answered(-1, "")),
    case("answered-acks0-second", Answered(0, "flush.ms=1000")),
    case("answered-acks1-second", Answered(1, "flush.ms=1000")),
    case("answered-all-second", Answered(-1, "flush.ms=1000")),
    case("answered-acks0-thousandth", Answered(0, "flush.messages=1000")),
    case("answered-acks1-thousandth", Answered(1, "flush.messages=1000")),
    case("answered-all-thousandth", Answered(-1, "flush.messages=1000")),
    case("answered-acks0-each", Answered(0, "flush.messages=1")),
    case("answered-acks1-each", Answered(1, "flush.messages=1")),
    case("answered-all-each", Answered(-1, "flush.messages=1")),
    confined("confined-produce-1k-librdkafka", Produce(Librdkafka, 1024, "all")),
    confined("confined-produce-1k-java", Produce(Java, 1024, "all")),
    confined("confined-consume-1k-librdkafka", Consume(Librdkafka, 1024)),
    confined("confined-consume-1k-bare", Consume(Bare, 1024)),
];

/// The cases that have one of `names`, or whose name holds one that no case has; all of them when there are none.
pub(crate) fn matching(names: &[String]) -> Vec<Case> {
    let is_case = |name: &str| ALL.iter().any(|case| case.name == name);
    let fits = |case: &Case, name: &str| if is_case(name) { case.name == name } else { case.name.contains(name) };
    let wanted = |case: &Case| names.is_empty() || names.iter().any(|name| fits(case, name));
    ALL.into_iter().filter(wanted).collect()
}
