# The model of the takeover protocol: every state of it within bounds, with all rules; and without each rule in turn, when a property
# must fail.
need_rust

step build cargo build --release -p unbroken-model || exit
step rules cargo test --release -p unbroken-model --no-fail-fast
step "every state" cargo run --quiet --release -p unbroken-model && figure "takeover, model checked" "[0-9]+ unique states"
