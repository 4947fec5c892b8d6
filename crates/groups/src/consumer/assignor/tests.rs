//! Laws that hold for all members, subscriptions and present assignments, and small examples.

use proptest::{
    collection::{btree_map, btree_set, vec},
    prelude::*,
};

use super::*;

fn topic(number: u8) -> Uuid {
    Uuid([number; 16])
}

/// Members by id, each with the topics that it reads.
type Subscriptions = BTreeMap<String, BTreeSet<Uuid>>;

/// Members that have what `now` says; static where their id starts with `s`.
fn members<'a>(subscriptions: &'a Subscriptions, now: &Assignment) -> Vec<Member<'a>> {
    let member = |(id, subscribed): (&'a String, &BTreeSet<Uuid>)| Member {
        id,
        instance_id: id.strip_prefix('s'),
        subscribed: subscribed.clone(),
        current: now.get(id).cloned().unwrap_or_default(),
    };
    subscriptions.iter().map(member).collect()
}

fn uniform(subscriptions: &Subscriptions, now: &Assignment, counts: &BTreeMap<Uuid, i32>) -> Assignment {
    assign("uniform", &members(subscriptions, now), counts).unwrap()
}

fn load(assigned: &BTreeMap<Uuid, BTreeSet<i32>>) -> usize {
    assigned.values().map(BTreeSet::len).sum()
}

fn check_complete(subscriptions: &Subscriptions, counts: &BTreeMap<Uuid, i32>, assignment: &Assignment) {
    assert!(assignment.keys().eq(subscriptions.keys()), "every member has an entry");
    let mut left: BTreeSet<_> = counts
        .iter()
        .filter(|(id, _)| subscriptions.values().any(|subscribed| subscribed.contains(id)))
        .flat_map(|(id, count)| (0..*count).map(|partition| (*id, partition)))
        .collect();
    for (member, topics) in assignment {
        for (id, partitions) in topics {
            assert!(subscriptions[member].contains(id), "{member} does not read {id}");
            assert!(!partitions.is_empty(), "{member} has an empty set");
            for partition in partitions {
                assert!(left.remove(&(*id, *partition)), "{id}-{partition} twice, or not there");
            }
        }
    }
    assert!(left.is_empty(), "left out: {left:?}");
}

fn check_balanced(subscriptions: &Subscriptions, assignment: &Assignment) {
    for (owner, topics) in assignment {
        for (other, subscribed) in subscriptions {
            if topics.keys().any(|id| subscribed.contains(id)) {
                let (more, less) = (load(&assignment[owner]), load(&assignment[other]));
                assert!(more <= less + 1, "{owner} has {more}, {other} {less}: {assignment:?}");
            }
        }
    }
}

/// What `after` gives to members that they did not have before.
fn gained(before: &Assignment, after: &Assignment) -> BTreeMap<String, usize> {
    let had = |member: &str, id: &Uuid, partition: &i32| {
        before.get(member).and_then(|topics| topics.get(id)).is_some_and(|partitions| partitions.contains(partition))
    };
    let new = |member: &str, topics: &BTreeMap<Uuid, BTreeSet<i32>>| {
        let all = topics.iter().flat_map(|(id, partitions)| partitions.iter().map(move |partition| (id, partition)));
        all.filter(|(id, partition)| !had(member, id, partition)).count()
    };
    let counted = after.iter().map(|(member, topics)| (member.clone(), new(member, topics)));
    counted.filter(|(_, count)| *count > 0).collect()
}

fn ids() -> impl Strategy<Value = String> {
    "[ms][0-9]"
}

fn partition_counts() -> impl Strategy<Value = BTreeMap<Uuid, i32>> {
    btree_map((0..6_u8).prop_map(topic), 0..12_i32, 1..6)
}

/// Members with subscriptions of their own; a topic may be none of `partition_counts`.
fn differing() -> impl Strategy<Value = Subscriptions> {
    btree_map(ids(), btree_set((0..7_u8).prop_map(topic), 0..6), 1..9)
}

/// Members that all read the same.
fn equal() -> impl Strategy<Value = Subscriptions> {
    (btree_set(ids(), 1..9), btree_set((0..7_u8).prop_map(topic), 1..6))
        .prop_map(|(ids, subscribed)| ids.into_iter().map(|id| (id, subscribed.clone())).collect())
}

/// What members could claim to have: partitions twice, not there, or of topics that they do not read.
fn claims() -> impl Strategy<Value = Assignment> {
    btree_map(ids(), btree_map((0..7_u8).prop_map(topic), btree_set(-1..14_i32, 0..8), 0..4), 0..9)
}

proptest! {
    #[test]
    fn uniform_is_complete_balanced_and_stays(
        subscriptions in prop_oneof![differing(), equal()], counts in partition_counts(), now in claims(),
    ) {
        let assignment = uniform(&subscriptions, &now, &counts);
        check_complete(&subscriptions, &counts, &assignment);
        check_balanced(&subscriptions, &assignment);
        prop_assert_eq!(&uniform(&subscriptions, &assignment, &counts), &assignment, "nothing changed, nothing moves");
    }

    #[test]
    fn the_order_of_members_does_not_matter(
        subscriptions in differing(), counts in partition_counts(), now in claims(), seed in vec(any::<u32>(), 9),
    ) {
        let members = members(&subscriptions, &now);
        let mut shuffled: Vec<_> = members.iter().cloned().zip(seed).collect();
        shuffled.sort_by_key(|(_, key)| *key);
        let shuffled: Vec<_> = shuffled.into_iter().map(|(member, _)| member).collect();
        for name in ["uniform", "range"] {
            prop_assert_eq!(assign(name, &members, &counts), assign(name, &shuffled, &counts));
        }
    }

    #[test]
    fn when_a_member_leaves_only_its_partitions_move(
        mut subscriptions in equal(), counts in partition_counts(), now in claims(),
        pick in any::<prop::sample::Index>(),
    ) {
        let before = uniform(&subscriptions, &now, &counts);
        let leaver = subscriptions.keys().nth(pick.index(subscriptions.len())).unwrap().clone();
        subscriptions.remove(&leaver);
        let after = uniform(&subscriptions, &before, &counts);
        let moved = if subscriptions.is_empty() { 0 } else { load(&before[&leaver]) };
        prop_assert_eq!(gained(&before, &after).values().sum::<usize>(), moved);
    }

    #[test]
    fn when_a_member_joins_only_what_it_gets_moves(
        mut subscriptions in equal(), counts in partition_counts(), now in claims(),
    ) {
        let before = uniform(&subscriptions, &now, &counts);
        let subscribed = subscriptions.values().next().unwrap().clone();
        subscriptions.insert("new".to_owned(), subscribed);
        let after = uniform(&subscriptions, &before, &counts);
        let all: usize = after.values().map(load).sum();
        let expected = all / subscriptions.len();
        prop_assert_eq!(gained(&before, &after).values().sum::<usize>(), expected, "its share, and nothing else");
        prop_assert_eq!(load(&after["new"]), expected);
    }

    #[test]
    fn new_partitions_go_where_there_is_least(
        subscriptions in equal(), mut counts in partition_counts(), now in claims(), more in 1..5_i32,
    ) {
        let before = uniform(&subscriptions, &now, &counts);
        counts.values_mut().for_each(|count| *count += more);
        let after = uniform(&subscriptions, &before, &counts);
        let grown = after.values().map(load).sum::<usize>() - before.values().map(load).sum::<usize>();
        prop_assert_eq!(gained(&before, &after).values().sum::<usize>(), grown);
    }

    #[test]
    fn range_is_complete_contiguous_and_in_order(
        subscriptions in prop_oneof![differing(), equal()], counts in partition_counts(), now in claims(),
    ) {
        let assignment = assign("range", &members(&subscriptions, &now), &counts).unwrap();
        check_complete(&subscriptions, &counts, &assignment);
        let mut order: Vec<_> = subscriptions.keys().collect();
        order.sort_by_key(|id| (!id.starts_with('s'), *id));
        for (id, count) in counts {
            let readers: Vec<_> = order.iter().filter(|member| subscriptions[**member].contains(&id)).collect();
            let mut next = 0;
            for (at, reader) in readers.iter().enumerate() {
                let larger = at < count as usize % readers.len();
                let size = count / readers.len() as i32 + i32::from(larger);
                let range: BTreeSet<_> = (next..next + size).collect();
                prop_assert_eq!(&range, &assignment[**reader].get(&id).cloned().unwrap_or_default());
                next += size;
            }
        }
    }
}

fn all_read(ids: &[&str], topics: &[u8]) -> Subscriptions {
    ids.iter().map(|id| ((*id).to_owned(), topics.iter().copied().map(topic).collect())).collect()
}

#[test]
fn range_gives_the_same_numbers_of_each_topic() {
    let counts = BTreeMap::from([(topic(1), 5), (topic(2), 5)]);
    let subscriptions = all_read(&["m1", "m2", "s9"], &[1, 2]);
    let assignment = assign("range", &members(&subscriptions, &Assignment::new()), &counts).unwrap();
    for (member, partitions) in [("s9", 0..2), ("m1", 2..4), ("m2", 4..5)] {
        let expected: BTreeSet<_> = partitions.collect();
        assert_eq!(assignment[member], BTreeMap::from([(topic(1), expected.clone()), (topic(2), expected)]));
    }
}

#[test]
fn a_newcomer_gets_some_of_each_topic() {
    let counts = BTreeMap::from([(topic(1), 9), (topic(2), 9), (topic(3), 9)]);
    let before = uniform(&all_read(&["m1", "m2"], &[1, 2, 3]), &Assignment::new(), &counts);
    let after = uniform(&all_read(&["m1", "m2", "m3"], &[1, 2, 3]), &before, &counts);
    for id in [1, 2, 3] {
        assert_eq!(after["m3"][&topic(id)].len(), 3, "{after:?}");
    }
}

#[test]
fn nobody_gives_more_than_it_must() {
    let counts = BTreeMap::from([(topic(1), 100), (topic(2), 100)]);
    let whole = |number: u8| BTreeMap::from([(topic(number), (0..100).collect())]);
    let now = Assignment::from([("m1".to_owned(), whole(1)), ("m2".to_owned(), whole(2))]);
    let after = uniform(&all_read(&["m1", "m2", "m3"], &[1, 2]), &now, &counts);
    assert_eq!(gained(&now, &after), BTreeMap::from([("m3".to_owned(), 66)]));
}

#[test]
fn a_topic_that_one_member_reads_does_not_starve_others() {
    let counts = BTreeMap::from([(topic(1), 4), (topic(2), 4)]);
    let mut subscriptions = all_read(&["m1"], &[1, 2]);
    subscriptions.extend(all_read(&["m2"], &[2]));
    let assignment = uniform(&subscriptions, &Assignment::new(), &counts);
    assert_eq!(load(&assignment["m1"]), 4);
    assert_eq!(assignment["m2"], BTreeMap::from([(topic(2), (0..4).collect())]));
}

#[test]
fn of_two_claims_to_a_partition_the_first_holds() {
    let counts = BTreeMap::from([(topic(1), 1)]);
    let claim = BTreeMap::from([(topic(1), BTreeSet::from([0]))]);
    let now = Assignment::from([("m1".to_owned(), claim.clone()), ("m2".to_owned(), claim.clone())]);
    let assignment = uniform(&all_read(&["m1", "m2"], &[1]), &now, &counts);
    assert_eq!(assignment, Assignment::from([("m1".to_owned(), claim), ("m2".to_owned(), BTreeMap::new())]));
}

#[test]
fn nobody_and_nothing_is_an_assignment_too() {
    let counts = BTreeMap::from([(topic(1), 3), (topic(2), -1)]);
    for name in ["uniform", "range"] {
        assert_eq!(assign(name, &[], &counts), Some(Assignment::new()));
        let subscriptions = all_read(&["m1"], &[2, 3]);
        let assignment = assign(name, &members(&subscriptions, &Assignment::new()), &counts).unwrap();
        assert_eq!(assignment, Assignment::from([("m1".to_owned(), BTreeMap::new())]));
    }
    assert_eq!(assign("sticky", &[], &counts), None);
}

#[test]
fn the_assignor_with_most_votes_is_preferred() {
    for (votes, expected) in [
        (vec![], "uniform"),
        (vec![None, None], "uniform"),
        (vec![None, None, Some("range")], "range"),
        (vec![Some("range"), Some("uniform")], "uniform"),
        (vec![Some("range"), Some("other"), Some("range"), Some("uniform")], "range"),
        (vec![Some("range"), Some("other")], "other"),
    ] {
        assert_eq!(preferred(votes.iter().copied(), "uniform"), expected, "{votes:?}");
    }
}
