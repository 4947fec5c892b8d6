//! `ottla-lossyfs DIRECTORY`: mounts a file system that loses what was not synced, for trying things by hand.
//!
//! Each line on standard input is a command: `cut` loses all that is un-synced, `cut SEED` some of it; what uses the file system
//! must be gone by then. The end of the input unmounts it.

use std::{io, path::Path, process::ExitCode};

use ottla_lossyfs::LossyFs;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: ottla-lossyfs DIRECTORY   (then `cut` or `cut SEED` on standard input)");
        return ExitCode::from(2);
    };
    match run(Path::new(&path)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

fn run(path: &Path) -> io::Result<()> {
    let mut mounted = LossyFs::mount(path)?;
    println!("mounted at {}", path.display());
    for line in io::stdin().lines() {
        match line?.split_whitespace().collect::<Vec<_>>()[..] {
            ["cut"] => cut(&mut mounted, None)?,
            ["cut", seed] => cut(&mut mounted, Some(seed.parse().map_err(io::Error::other)?))?,
            _ => println!("cut, or cut SEED"),
        }
    }
    Ok(())
}

fn cut(mounted: &mut LossyFs, seed: Option<u64>) -> io::Result<()> {
    mounted.power_cut(seed);
    mounted.power_on()?;
    println!("the power was cut and is back");
    Ok(())
}
