//! Log directories as clients see them.

use std::path::{Path, PathBuf, absolute};

use ottla_testkit::BrokerProcess;
use ottla_wire::messages::DescribeLogDirsRequest;
use tempfile::TempDir;

use crate::asking::Asking;

const DESCRIBE: i16 = 5;

#[test]
fn a_relative_directory_has_its_whole_path() {
    let dir = TempDir::new_in(".").unwrap();
    let data: PathBuf = Path::new(dir.path().file_name().unwrap()).join("data");
    assert!(data.is_relative());
    let broker = BrokerProcess::start(Path::new(env!("CARGO_BIN_EXE_ottla")), &data, &[]).unwrap();
    let answer = Asking::of(&broker).ask(DESCRIBE, &DescribeLogDirsRequest { topics: None });
    let paths: Vec<_> = answer.results.iter().map(|found| PathBuf::from(&found.log_dir)).collect();
    assert_eq!(paths, [absolute(&data).unwrap()]);
}
