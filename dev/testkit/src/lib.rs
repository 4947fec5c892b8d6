//! What Ottla's tests stand on: a simulated disk, the suite every disk must pass, a broker as a child process, and a
//! client that may send any bytes it likes.
//!
//! Nothing that ships depends on this crate.

mod contract;
mod dice;
mod sim_disk;

pub use contract::disk_contract;
pub use dice::Dice;
pub use sim_disk::{Fault, Operation, OperationKind, SimDisk, is_crash};
