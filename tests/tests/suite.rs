//! All tests that cross crates, as one program.
#![allow(unreachable_pub, reason = "it is a program; nothing of it can be reached")]

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod bare_account;
#[cfg(test)]
mod client_crash;
#[cfg(test)]
mod mail;
#[cfg(test)]
mod person;
#[cfg(test)]
mod process;
#[cfg(test)]
mod server;
#[cfg(test)]
mod server_crash;
