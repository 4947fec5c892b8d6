//! Every request that is asked, a file for each API.
//!
//! A case runs once for each of its versions, on a connection and with topics of its own, so cases share a broker and can
//! run in any order. Invariant: a case only asks what two right brokers must answer alike; what a broker does in its own time
//! is waited for first.

use std::net::SocketAddr;

use anyhow::Result;
use ottla_wire::ApiKey;

use crate::differences::matches;
use crate::normal::TOPIC_PREFIX;
use crate::session::Session;
use crate::transcript::Entry;

mod alter_configs;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod fetch;
mod group_offsets;
mod group_requests;
mod groups_admin;
mod groups_classic;
mod groups_consumer;
mod groups_mixed;
mod list_offsets;
mod log_dirs;
mod metadata;
mod others;
mod produce;
mod producers;
mod requests;
mod transaction_requests;
mod transactional_writes;
mod transactions;
mod versions;

/// What a case does; the number is the version to ask in.
pub type Run = fn(&mut Session, i16) -> Result<()>;

/// A conversation to have.
#[derive(Clone, Debug)]
pub struct Case {
    name: &'static str,
    versions: Vec<i16>,
    run: Run,
}

impl Case {
    /// In every version of `api`.
    fn each(name: &'static str, api: ApiKey, run: Run) -> Case {
        Case { name, versions: (api.versions().min..=api.versions().max).collect(), run }
    }

    /// In the newest version of `api`.
    fn newest(name: &'static str, api: ApiKey, run: Run) -> Case {
        Case { name, versions: vec![api.versions().max], run }
    }

    /// In some versions.
    fn some(name: &'static str, versions: &[i16], run: Run) -> Case {
        Case { name, versions: versions.to_vec(), run }
    }
}

/// API and its cases.
fn all() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("api_versions", versions::api_versions()),
        ("frames", versions::frames()),
        ("metadata", metadata::cases()),
        ("describe_cluster", describe_cluster::cases()),
        ("describe_topic_partitions", describe_cluster::topic_partitions()),
        ("create_topics", create_topics::cases()),
        ("delete_topics", delete_topics::cases()),
        ("create_partitions", create_partitions::cases()),
        ("describe_configs", describe_configs::cases()),
        ("incremental_alter_configs", alter_configs::incremental()),
        ("alter_configs", alter_configs::cases()),
        ("produce", [produce::cases(), transactional_writes::produce_cases()].concat()),
        ("fetch", [fetch::cases(), transactional_writes::fetch_cases()].concat()),
        ("list_offsets", [list_offsets::cases(), transactional_writes::list_offsets_cases()].concat()),
        ("offset_for_leader_epoch", list_offsets::epochs()),
        ("delete_records", list_offsets::delete_records()),
        ("init_producer_id", [producers::init(), transactions::init_producer_id()].concat()),
        ("describe_producers", [producers::describe(), transactional_writes::describe_producers_cases()].concat()),
        ("add_partitions_to_txn", transactions::add_partitions()),
        ("add_offsets_to_txn", transactions::add_offsets()),
        ("end_txn", transactions::end()),
        ("txn_offset_commit", transactional_writes::txn_offset_commit()),
        ("write_txn_markers", transactional_writes::write_txn_markers()),
        ("describe_transactions", transactions::describe_transactions()),
        ("list_transactions", transactions::list_transactions()),
        ("describe_log_dirs", log_dirs::describe()),
        ("alter_replica_log_dirs", log_dirs::alter()),
        ("alter_partition_reassignments", log_dirs::alter_reassignments()),
        ("find_coordinator", others::find_coordinator()),
        ("list_config_resources", others::config_resources()),
        ("describe_client_quotas", others::quotas()),
        ("describe_user_scram_credentials", others::scram()),
        ("describe_quorum", others::quorum()),
        ("elect_leaders", others::elect()),
        ("list_partition_reassignments", log_dirs::list_reassignments()),
        ("describe_acls", others::acls()),
        ("join_group", groups_classic::join_group()),
        ("sync_group", groups_classic::sync_group()),
        ("heartbeat", groups_classic::heartbeat()),
        ("leave_group", groups_classic::leave_group()),
        ("offset_commit", group_offsets::offset_commit()),
        ("offset_fetch", group_offsets::offset_fetch()),
        ("offset_delete", group_offsets::offset_delete()),
        ("consumer_group_heartbeat", groups_consumer::heartbeat()),
        ("consumer_group_describe", groups_consumer::describe_cases()),
        ("describe_groups", groups_admin::describe_groups()),
        ("list_groups", groups_admin::list_groups()),
        ("delete_groups", groups_admin::delete_groups()),
        ("group_configs", groups_admin::group_configs()),
    ]
}

/// The names of all cases, in the order in which they run.
#[must_use]
pub fn names() -> Vec<String> {
    all()
        .into_iter()
        .flat_map(|(api, cases)| cases.into_iter().map(move |case| format!("{api}/{}", case.name)))
        .collect()
}

/// What came of all cases.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The answers.
    pub entries: Vec<Entry>,
    /// Cases that could not be carried out to their end, and why.
    pub failures: Vec<String>,
}

/// Asks the broker at `address` every case whose name fits `only`; `said` hears of each case before it begins.
pub fn run(address: SocketAddr, only: &str, mut said: impl FnMut(&str)) -> Outcome {
    let mut outcome = Outcome::default();
    let cases = all().into_iter().flat_map(|(api, cases)| cases.into_iter().map(move |case| (api, case)));
    for (number, (api, case)) in cases.enumerate() {
        let name = format!("{api}/{}", case.name);
        if !matches(only, &name) {
            continue;
        }
        said(&name);
        for version in &case.versions {
            let prefix = format!("{TOPIC_PREFIX}{:x}-{number}-{version}-", std::process::id());
            let mut session = Session::new(address, prefix);
            match (case.run)(&mut session, *version) {
                Ok(()) => {
                    let steps = session.into_steps();
                    outcome.entries.push(Entry { case: name.clone(), version: *version, steps });
                }
                Err(error) => outcome.failures.push(format!("{name}@{version}: {error:#}")),
            }
        }
    }
    outcome
}
