//! Stores that are processes of their own, started and killed: Redis, and the store process. Each test has its own.

mod broken_wait;
mod redis;
mod store_process;
mod writers;
