//! Tasks of the project: `cargo xtask test`, `codegen`, `bench`.
fn main() {}
