# A real server among hostile clients for a minute, with honest clients beside them, and honest clients among hostile servers. What it counted is read
# again here.
need_rust
need python3 python3

# Optimised: attackers, honest clients and server share these processors.
step build cargo build --release -p unbroken-hostile || exit

soak() {
  local out=$logs/hostile/soak.json status
  "${CARGO_TARGET_DIR:-$root/target}/release/unbroken-hostile" --minutes 1 --json | tee "$out"
  status=${PIPESTATUS[0]}
  python3 - "$out" <<'PY' || return 1
import json, sys
run = json.loads(open(sys.argv[1]).read().strip().splitlines()[-1])
seen, honest = run["findings"], run["findings"]["honest"]
wrong = list(run["failed"])
if honest["sent"] != honest["seen"]["good"] or honest["sent"] < 10_000:
    wrong.append(f"sent {honest['sent']}, back in order {honest['seen']}")
wrong += [f"{attack['name']}: {attack['total']} {attack['unit']}" for attack in seen["attacks"] if attack["total"] < max(1, attack["floor"])]
if len(seen["attacks"]) < 7 or len(seen["hostile_servers"]) < 8:
    wrong.append("attacks or hostile servers are missing")
half = sum(attack["total"] for attack in seen["attacks"] if "half" in attack["name"])
print(f"{half} half-handshakes, {honest['sent']} honest messages, none lost")
sys.exit("; ".join(wrong) if wrong else 0)
PY
  return "$status"
}
step "a minute of attacks" soak && figure "a server among hostile clients" "[1-9][0-9]* half-handshakes, .*"
