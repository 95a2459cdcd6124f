# The simulator. Seeds are run in blocks until enough links have failed; the same seeds each time, so that a red run can be repeated. A
# violation prints its seed.
need_rust

wanted=${UNBROKEN_LINK_FAILURES:-100000}

step build cargo build --release -p unbroken-sim || exit

simulate() {
  local from=0 block=1000 failures=0 line
  while ((failures < wanted)); do
    cargo run --quiet --release -p unbroken-sim --bin unbroken-sim -- --seeds "$from..$((from + block))" >"$logs/sim/block" || { cat "$logs/sim/block"; return 1; }
    cat "$logs/sim/block"
    line=$(grep -oE '[0-9]+ link failures' "$logs/sim/block" | head -1)
    ((${line%% *})) || { echo "the simulator tells of no link failures"; return 1; }
    failures=$((failures + ${line%% *}))
    from=$((from + block))
  done
  echo "$failures link failures in all, at least $wanted wanted"
}
step "link failures" simulate
