//! What Ottla's tests stand on: a simulated disk, the suite every disk must pass, a broker as a child process, and a
//! client that may send any bytes it likes.
//!
//! Nothing that ships depends on this crate.

mod contract;
mod dice;
mod process;
mod sim_disk;
mod wire;

pub use contract::disk_contract;
pub use dice::Dice;
pub use process::{BINARY_ENV, BrokerCommand, BrokerProcess, StartError, free_port, program};
pub use sim_disk::{Fault, Operation, OperationKind, SimDisk, is_crash};
pub use wire::Wire;
