//! The binary as a client meets it on the wire, in what no client library shows: how connections end, ids of topics that
//! are gone, limits of connections, configurations in full; what is damaged.

#![allow(clippy::unwrap_used)] // a test may

mod asking;
mod configs;
mod damage;
mod ends;
mod limits;
mod listeners;
mod log_dirs;
mod silent;
mod topics;
