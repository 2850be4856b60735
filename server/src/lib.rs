//! The Medipeps server: it stores and forwards what it cannot open.

pub mod limits;
pub mod storage;
