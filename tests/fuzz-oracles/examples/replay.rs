//! Runs a target on files, without the fuzzer: `replay TARGET FILE...`. With `FUZZ_TRACE=1` structured programs are printed.

fn main() {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_default();
    let Some((_, target)) = unbroken_fuzz_oracles::TARGETS
        .iter()
        .find(|(target, _)| *target == name)
    else {
        eprintln!(
            "usage: replay TARGET FILE...; targets: {:?}",
            unbroken_fuzz_oracles::TARGETS.map(|(name, _)| name)
        );
        std::process::exit(2);
    };
    for path in args {
        println!("{path}");
        target(&std::fs::read(&path).expect("a readable file"));
    }
}
