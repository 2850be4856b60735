//! What an attachment is, and documents as types.

pub mod cda;
