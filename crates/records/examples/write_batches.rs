//! Writes the records of the test vectors with every codec into a directory, for other implementations to read.

#[path = "../tests/sent/mod.rs"]
mod sent;

use std::{error::Error, fs, path::Path};

use bytes::Bytes;
use ottla_records::{BatchBuilder, ProduceRules, TargetCompression, check_produce};
use ottla_types::{Compression, Millis, TimestampType};

const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args().nth(1).ok_or("which directory?")?;
    let dir = Path::new(&dir);
    fs::create_dir_all(dir)?;
    for codec in CODECS {
        let batch = built(codec)?;
        fs::write(dir.join(format!("{}.batch", codec.name())), &batch)?;
        for to in CODECS {
            let name = format!("{}-to-{}.batch", codec.name(), to.name());
            fs::write(dir.join(name), stored(&batch, to, TimestampType::CreateTime)?)?;
        }
        let name = format!("{}-append-time.batch", codec.name());
        fs::write(dir.join(name), stored(&batch, codec, TimestampType::LogAppendTime)?)?;
    }
    Ok(())
}

fn built(codec: Compression) -> Result<Bytes, Box<dyn Error>> {
    let mut builder = BatchBuilder::new().compression(codec, None);
    sent::sent().iter().for_each(|record| record.append_to(&mut builder));
    Ok(builder.build()?)
}

/// What a broker stores of `batch`.
fn stored(batch: &Bytes, to: Compression, timestamp_type: TimestampType) -> Result<Vec<u8>, Box<dyn Error>> {
    let compression = TargetCompression::Codec(to, None);
    let rules = ProduceRules { compression, timestamp_type, ..ProduceRules::default() };
    let checked = check_produce(batch, &rules, Millis(sent::T))?;
    Ok([&checked.head[..], &checked.body[..]].concat())
}
