# The simulator. Seeds are run in blocks until enough links have failed, until enough sessions have gone from one server process to another, and, with
# everything drawn that can be set, until the store has gone back often enough; the same seeds each time, so that a red run can be repeated. A violation prints its seed.
need_rust

step build cargo build --release -p unbroken-sim || exit

# simulate WHAT WANTED BLOCK ARGUMENTS...: blocks of seeds until their reports tell of so many.
simulate() {
  local what=$1 wanted=$2 block=$3 from=0 sum=0 line
  shift 3
  while ((sum < wanted)); do
    cargo run --quiet --release -p unbroken-sim --bin unbroken-sim -- --seeds "$from..$((from + block))" "$@" >"$logs/sim/block" || { cat "$logs/sim/block"; return 1; }
    cat "$logs/sim/block"
    line=$(grep -oE "[0-9]+ $what" "$logs/sim/block" | head -1)
    ((${line%% *})) || { echo "the simulator tells of no $what"; return 1; }
    sum=$((sum + ${line%% *}))
    from=$((from + block))
  done
  echo "$sum $what in all, at least $wanted wanted"
}
step "link failures" simulate "link failures" "${UNBROKEN_LINK_FAILURES:-100000}" 1000 && figure "simulator, no violation" "[0-9]+ link failures in all"
step takeovers simulate takeovers "${UNBROKEN_TAKEOVERS:-10000}" 200 --profile cluster && figure "simulator, between processes" "[0-9]+ takeovers in all"
step "random configurations" simulate rollbacks "${UNBROKEN_ROLLBACKS:-100}" 100 --profile random &&
  figure "simulator, random configurations" "[0-9]+ rollbacks in all"
