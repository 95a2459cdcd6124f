# The examples as a newcomer runs them. `handover` counts for itself; what it counted is read again here.
need_rust
need python3 python3

step build cargo build --release --examples || exit

handover() {
  local out=$logs/examples/handover.json
  cargo run --quiet --release --example handover -- --json --clients "${1}" --duration "${2}" --cut-every "${3}" --seed "${4}" \
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
report = open(sys.argv[2], encoding="utf-8").read()
if "<svg" not in report and "<canvas" not in report:
    wrong.append("the report has no picture")
if "http://" in report.replace("http://www.w3.org/", "") or "https://" in report:
    wrong.append("the report is not self-contained")
sys.exit("; ".join(wrong) if wrong else 0)
PY
}
step "handover" handover 100 4 500 1
step "handover, few clients, much trouble" handover 8 3 100 7

scenario() {
  local out=$logs/examples/$1.json
  cargo run --quiet --release --example handover -- --scenario "$1" --json --duration 8 --report "$logs/examples/$1.html" | tee "$out" || return 1
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
for name in walk-out subway elevator background flapping; do
  step "handover, scenario $name" scenario "$name"
done

# A run in which nothing can go wrong proves nothing, and must say so.
no_faults() {
  ! cargo run --quiet --release --example handover -- --clients 1 --duration 1 --cut-every 600000 --report "$logs/examples/none.html"
}
step "handover without faults fails" no_faults

nonsense() {
  local out
  out=$(cargo run --quiet --release --example handover -- --clients 0 2>&1) && return 1
  printf '%s\n' "$out"
  grep -q "'0'" <<<"$out"
}
step "handover refuses nonsense" nonsense

echo_example() {
  local out
  out=$(timeout 60 cargo run --quiet --release --example echo) || return 1
  printf '%s\n' "$out"
  grep -q hello <<<"$out"
}
step "echo" echo_example
