//! Where the workspace is.

use std::path::PathBuf;

/// The folder of the workspace whose cargo runs this: the program may have been built in another checkout that shares the target
/// directory.
pub(crate) fn root() -> PathBuf {
    let built = || env!("CARGO_MANIFEST_DIR").into();
    let mut folder = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(built, PathBuf::from);
    folder.pop();
    folder
}
