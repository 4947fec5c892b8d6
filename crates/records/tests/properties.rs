//! Whatever records there are: built, read, checked and recompressed, they stay what they were.
#![allow(clippy::unwrap_used)] // a test may

use bytes::Bytes;
use ottla_records::{
    BatchBuilder, BatchHeader, BatchRef, Batches, HEADER_LEN, ProduceRules, TargetCompression, check_produce,
    fuzz_batch, records_of,
};
use ottla_types::{Compression, Millis, Offset, ProducerEpoch, ProducerId, ProducerIdAndEpoch};
use proptest::{collection::vec, option, prelude::*};

type Headers = Vec<(Vec<u8>, Option<Vec<u8>>)>;
type Plain = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Headers);

const NOW: i64 = 1_700_000_000_000;

fn blob(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..40), (any::<u8>(), 0..max).prop_map(|(byte, len)| vec![byte; len])]
}

fn record() -> impl Strategy<Value = Plain> {
    let time = prop_oneof![Just(NOW), NOW - 1000..NOW + 1000, 0..NOW];
    let headers = vec((blob(50), option::of(blob(50))), 0..4);
    (time, option::of(blob(200)), option::of(blob(40_000)), headers)
}

fn codec() -> impl Strategy<Value = Compression> {
    (0u8..5).prop_map(|code| Compression::try_from(code).unwrap())
}

fn build(records: &[Plain], codec: Compression, base: i64) -> Bytes {
    let producer = ProducerIdAndEpoch { id: ProducerId(3), epoch: ProducerEpoch(1) };
    let mut builder =
        BatchBuilder::new().compression(codec, None).base_offset(Offset(base)).producer(producer, i32::MAX);
    for (time, key, value, headers) in records {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (&name[..], value.as_deref())).collect();
        builder.append_with_headers(Millis(*time), key.as_deref(), value.as_deref(), &headers);
    }
    builder.build().unwrap()
}

fn read(batch: &[u8]) -> Vec<Plain> {
    let batch = BatchRef::parse(batch).unwrap();
    batch.verify_crc().unwrap();
    let mut reader = records_of(&batch).unwrap();
    let mut all = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        let expected = batch.header().base_offset.plus(all.len() as i64);
        assert_eq!(record.offset, expected);
        let headers = record.headers.map(|h| (h.key.to_vec(), h.value.map(<[u8]>::to_vec))).collect();
        all.push((record.timestamp.0, record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec), headers));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn records_survive_a_batch(records in vec(record(), 1..30), codec in codec(), base in 0..i64::MAX / 2) {
        prop_assert_eq!(read(&build(&records, codec, base)), records);
    }

    #[test]
    fn records_survive_the_broker(records in vec(record(), 1..30), from in codec(), to in codec()) {
        let bytes = build(&records, from, 0);
        let rules = ProduceRules { compression: TargetCompression::Codec(to, None), ..ProduceRules::default() };
        let checked = check_produce(&bytes, &rules, Millis(NOW)).unwrap();
        prop_assert_eq!(checked.max_timestamp.0, records.iter().map(|record| record.0).max().unwrap());
        let first = records.iter().position(|record| record.0 == checked.max_timestamp.0);
        prop_assert_eq!(first, Some(checked.offset_of_max_timestamp as usize));
        prop_assert_eq!(read(&[&checked.head[..], &checked.body[..]].concat()), records);
    }

    #[test]
    fn batches_in_a_row_are_told_apart(
        batches in vec((vec(record(), 1..4), codec()), 0..5),
        junk in vec(any::<u8>(), 0..HEADER_LEN),
    ) {
        let built: Vec<_> = batches.iter().map(|(records, codec)| build(records, *codec, 0)).collect();
        let bytes = [built.concat(), junk.clone()].concat();
        let mut walk = Batches::new(&bytes);
        for expected in &built {
            prop_assert_eq!(walk.next().unwrap().unwrap().bytes(), &expected[..]);
        }
        prop_assert_eq!(walk.next().is_some(), !junk.is_empty());
        prop_assert_eq!(walk.consumed(), bytes.len() - junk.len());
    }

    #[test]
    fn any_header_that_parses_is_written_back(bytes in prop::array::uniform32(any::<u8>())) {
        let mut header = [&bytes[..], &bytes[..29]].concat();
        (header[8], header[16], header[23], header[57]) = (0, 2, 0, 0);
        let parsed = BatchHeader::parse(&header);
        if let Ok(parsed) = parsed {
            let mut out = [0; HEADER_LEN];
            parsed.write_to(&mut out);
            prop_assert_eq!(&out[..], &header[..]);
        }
    }

    #[test]
    fn no_bytes_cause_a_panic(bytes in vec(any::<u8>(), 0..300)) {
        fuzz_batch(&bytes);
    }
}
