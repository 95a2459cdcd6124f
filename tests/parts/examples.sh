# The examples as a newcomer runs them, but for the optimisation. `handover` counts for itself; what it counted is read again here.
need_rust
need python3 python3

step build tests/cargo build --example handover --example rolling_restart || exit
programs=${CARGO_TARGET_DIR:-$root/target}/debug/examples

handover() {
  local out=$logs/examples/handover.json
  "$programs/handover" --json --clients "${1}" --duration "${2}" --cut-every "${3}" --seed "${4}" \
    --report "$logs/examples/handover-${4}.html" | tee "$out" || return 1
  python3 - "$out" "$logs/examples/handover-${4}.html" <<'PY'
import json, sys
# The last line is the object; what stands before it, if anything, is the display.
run = json.loads(open(sys.argv[1]).read().strip().splitlines()[-1])
wrong = [f"{key} is {run[key]}, not 0" for key in ("lost", "doubled", "reordered") if run[key] != 0]
wrong += [f"{key} is 0: nothing was shown" for key in ("sent", "delivered", "links_cut", "handovers") if run[key] <= 0]
if run["delivered"] != run["sent"]:
    wrong.append(f"sent {run['sent']}, delivered {run['delivered']}")
down = run["downtime_ms"]
if not 0 <= down["p50"] <= down["p99"] <= down["max"]:
    wrong.append(f"downtimes are out of order: {down}")
print(f"{run['delivered']} messages, {run['links_cut']} links cut, {run['handovers']} handovers, down p50 {down['p50']} ms, p99 {down['p99']} ms")
report = open(sys.argv[2], encoding="utf-8").read()
if "<svg" not in report and "<canvas" not in report:
    wrong.append("the report has no picture")
if "http://" in report.replace("http://www.w3.org/", "") or "https://" in report:
    wrong.append("the report is not self-contained")
sys.exit("; ".join(wrong) if wrong else 0)
PY
}
step "handover" handover 100 4 500 1 && figure "100 clients over TCP, none lost" "[0-9]+ messages, .*"
step "handover, few clients, much trouble" handover 8 3 100 7

scenario() {
  local out=$logs/examples/$1.json
  "$programs/handover" --scenario "$1" --json --duration 8 --report "$logs/examples/$1.html" | tee "$out" || return 1
  python3 - "$out" "$logs/examples/$1.html" <<'PY'
import json, sys
run = json.loads(open(sys.argv[1]).read().strip().splitlines()[-1])
session, plain = run["session"], run["plain_tcp"]
wrong = [f"{key} is {session[key]}, not 0" for key in ("lost", "doubled", "reordered") if session[key] != 0]
wrong += [f"{key} is 0: nothing was shown" for key in ("troubles", "handovers") if run[key] <= 0]
if session["delivered"] != session["sent"] or session["sent"] <= 0:
    wrong.append(f"sent {session['sent']}, delivered {session['delivered']}")
if plain["lost"] == 0:
    wrong.append("plain TCP lost nothing: the scenario does no harm")
if session["downtime_ms"]["p99"] >= plain["downtime_ms"]["p99"]:
    wrong.append(f"the session was down for longer: {session['downtime_ms']} and {plain['downtime_ms']}")
report = open(sys.argv[2], encoding="utf-8").read()
if "<canvas" not in report or "http://" in report or "https://" in report:
    wrong.append("the report has no picture, or is not self-contained")
sys.exit("; ".join(wrong) if wrong else 0)
PY
}
# Each is one client that mostly waits: all at once.
scenarios() {
  local name failed=0 running=()
  for name in "$@"; do
    scenario "$name" >"$logs/examples/$name.log" 2>&1 &
    running+=($!)
  done
  for name in "$@"; do
    wait "${running[0]}" && echo "$name: ok" || { failed=$((failed + 1)); cat "$logs/examples/$name.log"; echo "$name: FAILED"; }
    running=("${running[@]:1}")
  done
  printf '%d passed, %d failed\n' "$(($# - failed))" "$failed"
}
step "handover, five scenarios of a day" scenarios walk-out subway elevator background flapping

# A run in which nothing can go wrong proves nothing, and must say so.
no_faults() {
  ! "$programs/handover" --clients 1 --duration 1 --cut-every 600000 --report "$logs/examples/none.html"
}
step "handover without faults fails" no_faults

nonsense() {
  local out
  out=$("$programs/handover" --clients 0 2>&1) && return 1
  printf '%s\n' "$out"
  grep -q "'0'" <<<"$out"
}
step "handover refuses nonsense" nonsense

echo_example() {
  local out
  out=$(timeout 60 "$programs/echo") || return 1
  printf '%s\n' "$out"
  grep -q hello <<<"$out"
}
step "echo" echo_example

# Servers restarted under their players. What it counted is read again here.
rolling() {
  local out=$logs/examples/rolling-$1.json
  shift
  "$programs/rolling_restart" --json --report "${out%.json}.html" "$@" | tee "$out" || return 1
  python3 - "$out" "${out%.json}.html" "${least:-1}" <<'PY'
import json, sys
run = json.loads(open(sys.argv[1]).read().strip().splitlines()[-1])
wrong = [f"{key} is {run[key]}, not 0" for key in ("lost", "doubled", "reordered", "handovers_failed", "ended_early") if run[key] != 0]
wrong += [f"{key} is 0: nothing was shown" for key in ("sent", "delivered", "handovers", "servers_restarted") if run[key] <= 0]
if run["takeovers"] < int(sys.argv[3]):
    wrong.append(f"{run['takeovers']} takeovers, fewer than {sys.argv[3]}")
if run["durability"] == "durable" and run["servers_killed"] == 0:
    wrong.append("no server was killed")
if run["delivered"] != run["sent"] or run["states_equal"] != run["clients"]:
    wrong.append(f"sent {run['sent']}, delivered {run['delivered']}, {run['states_equal']} of {run['clients']} states equal")
print(f"{run['delivered']} messages, {run['takeovers']} takeovers, {run['servers_restarted']} restarts, {run['servers_killed']} kills")
report = open(sys.argv[2], encoding="utf-8").read()
if "<svg" not in report or "http://" in report or "https://" in report:
    wrong.append("the report has no picture, or is not self-contained")
sys.exit("; ".join(wrong) if wrong else 0)
PY
}
step "rolling restart" rolling file --balancer small && figure "servers restarted, none lost" "[0-9]+ messages, .*"
step "rolling restart, swap-out" rolling swap-out --balancer small --durability swap-out --clients 60

need haproxy haproxy
need redis-server redis-server
need redis-cli redis-tools
# A Redis that keeps what it confirms, and is killed itself in the middle of it all; servers are killed at random moments meanwhile.
redis_that_dies() {
  local port=$((20000 + RANDOM % 10000)) folder verdict killer
  folder=$(mktemp -d) || return 1
  redis() {
    redis-server --port "$port" --bind 127.0.0.1 --dir "$folder" --appendonly yes --appendfsync always --save '' \
      --maxmemory-policy noeviction --daemonize yes --pidfile "$folder/pid" --logfile "$folder/log" >/dev/null
  }
  redis || return 1
  until redis-cli -p "$port" ping >/dev/null 2>&1; do sleep 0.1; done
  (
    # While the servers are being killed: those restarts begin after about 12 s.
    for pause in 15 5 5; do
      sleep "$pause"
      kill -9 "$(cat "$folder/pid")"
      sleep 0.7
      redis
    done
  ) &
  killer=$!
  least=200 rolling redis --balancer haproxy --redis "redis://127.0.0.1:$port" --clients 100 --kills 10
  verdict=$?
  kill "$killer" 2>/dev/null
  wait "$killer" 2>/dev/null
  grep -c 'Ready to accept' "$folder/log"
  [[ $(grep -c 'Ready to accept' "$folder/log") -ge 3 ]] || { echo "Redis was not restarted"; verdict=1; }
  redis-cli -p "$port" shutdown nosave >/dev/null 2>&1
  while [[ -e $folder/pid ]] && kill -0 "$(cat "$folder/pid" 2>/dev/null)" 2>/dev/null; do sleep 0.1; done
  rm -rf "$folder"
  return "$verdict"
}
step "rolling restart on Redis, both killed at random" redis_that_dies && figure "servers and Redis killed, none lost" "[0-9]+ messages, .*"
