//! Replays the committed corpora; with real crypto, or with `--cfg unbroken_mock_crypto` as `tests/run fuzz` does it, too.

use std::fs;
use std::path::PathBuf;

use unbroken_fuzz_oracles::TARGETS;

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let Ok(entries) = fs::read_dir(&directory) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).expect("a readable file")))
        .collect()
}

fn replay(target: fn(&[u8]), name: &str) {
    let inputs = corpus(name);
    assert!(
        !inputs.is_empty(),
        "fuzz/corpus/{name} is empty: nothing would be replayed"
    );
    for (path, input) in inputs {
        // Said by the test's output if the target panics.
        println!("{}", path.display());
        target(&input);
    }
}

macro_rules! targets {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            replay(unbroken_fuzz_oracles::$name, stringify!($name));
        })*

        #[test]
        fn no_target_is_left_out() {
            assert_eq!([$(stringify!($name)),*], TARGETS.map(|(name, _)| name));
        }
    };
}

targets!(
    prelude,
    frames,
    handshake_nk,
    handshake_resume,
    endpoint,
    two_sessions,
    authenticated_peer,
    snapshot,
    c_abi
);
