//! The stores under the suite that every store must pass, and each under what only it can suffer.

mod memory {
    use unbroken_store::MemoryStore;
    use unbroken_store::conformance::{Subject, suite};

    suite!(async || Subject::new(MemoryStore::new()));
}

mod embedded;
mod redis;
mod remote;
