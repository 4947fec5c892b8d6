//! Prints the configuration page: `cargo run -p ottla-config --example render_config > docs/config.md`.

use std::io::{self, Write as _};

fn main() -> io::Result<()> {
    io::stdout().write_all(ottla_config::render_reference().as_bytes())
}
