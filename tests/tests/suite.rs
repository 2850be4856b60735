//! All tests that cross crates, as one program.
#![allow(unreachable_pub, reason = "it is a program; nothing of it can be reached")]

#[cfg(test)]
mod account_life;
#[cfg(test)]
mod activation;
#[cfg(test)]
mod architecture;
#[cfg(test)]
mod attachments;
#[cfg(test)]
mod bare_account;
#[cfg(test)]
mod bare_group;
#[cfg(test)]
mod blocking;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod client_crash;
#[cfg(test)]
mod correspondent;
#[cfg(test)]
mod device_wakes;
#[cfg(test)]
mod durability;
#[cfg(test)]
mod fault_client_disk;
#[cfg(test)]
mod fault_drain;
#[cfg(test)]
mod fault_power_cut;
#[cfg(test)]
mod fault_server_disk;
#[cfg(test)]
mod fsync;
#[cfg(test)]
mod group_life;
#[cfg(test)]
mod group_wakes;
#[cfg(test)]
mod groups;
#[cfg(test)]
mod in_step;
#[cfg(test)]
mod invitations;
#[cfg(test)]
mod linking;
#[cfg(test)]
mod linking_crash;
#[cfg(test)]
mod load;
#[cfg(test)]
mod mail;
#[cfg(test)]
mod mailbox;
#[cfg(test)]
mod network;
#[cfg(test)]
mod networks;
#[cfg(test)]
mod observability;
#[cfg(test)]
mod organisations;
#[cfg(test)]
mod own_account;
#[cfg(test)]
mod person;
#[cfg(test)]
mod process;
#[cfg(test)]
#[path = "../../server/tests/wake/push_service.rs"]
#[allow(dead_code, reason = "the server's own tests use the rest")]
mod push_service;
#[cfg(test)]
mod recipients;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod reports;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod restore;
#[cfg(test)]
mod safety;
#[cfg(test)]
mod safety_crash;
#[cfg(test)]
mod secrecy;
#[cfg(test)]
mod seed;
#[cfg(test)]
mod server;
#[cfg(test)]
mod server_away;
#[cfg(test)]
mod server_blob_fail_points;
#[cfg(test)]
mod server_crash;
#[cfg(test)]
mod server_fail_points;
#[cfg(test)]
mod server_group_crash;
#[cfg(test)]
mod server_group_fail_points;
#[cfg(test)]
mod shutdown;
#[cfg(test)]
mod strace;
#[cfg(test)]
mod tenants;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod tokens_required;
#[cfg(test)]
mod transfer_crash;
#[cfg(test)]
mod transfers;
#[cfg(test)]
mod two_processes;
#[cfg(test)]
mod two_servers;
#[cfg(test)]
mod wrong_use;
