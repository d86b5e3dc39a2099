//! The rules of `invariants.md`, one by one, on the pure functions.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may, as tests may"
)]

mod budgets;
mod ends;
mod house;
mod support;
mod transfers;
mod wallets;
