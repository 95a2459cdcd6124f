# What the parts of tests/run are written with: `need`, `step` and `figure`; and what tests/run needs to count.
# shellcheck shell=bash

fail() {
  printf 'tests/run: %s\n' "$1" >&2
  exit 2
}

bold='' red='' green='' plain=''
if [[ -t 1 && -z ${NO_COLOR-} ]]; then
  bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
fi

# ---- tools ----

# need COMMAND PACKAGE: the command is there, or apt installs the package that has it.
need() {
  command -v "$1" >/dev/null && return
  apt_install "$2" && command -v "$1" >/dev/null && return
  refuse "\`$1\` is missing and could not be installed; install it (Debian and Ubuntu: apt-get install $2) and run again"
}

apt_install() {
  command -v apt-get >/dev/null || return 1
  local as=()
  if ((EUID)); then
    sudo -n true 2>/dev/null || return 1
    as=(sudo -n)
  fi
  printf '  installing %s\n' "$1"
  {
    "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$1" ||
      { "${as[@]}" apt-get update && "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$1"; }
  } >>"$logs/apt.log" 2>&1 </dev/null
}

# need_rust: a toolchain that is new enough, its formatter and linter, and a C linker.
need_rust() {
  local wanted have component
  if ! command -v cargo >/dev/null && [[ -x $HOME/.cargo/bin/cargo ]]; then
    PATH=$HOME/.cargo/bin:$PATH
  fi
  command -v cargo >/dev/null ||
    refuse "\`cargo\` is missing; install Rust with rustup and run again"
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -1)
  have=$(cargo --version | awk '{ print $2 }')
  [[ $(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -1) == "$wanted" ]] ||
    refuse "cargo $have is older than $wanted, which Cargo.toml asks for; run \`rustup update stable\` and run again"
  for component in rustfmt clippy; do
    cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 || rustup component add "$component" >>"$logs/rustup.log" 2>&1 ||
      refuse "cargo has no $component; run \`rustup component add $component\` and run again"
  done
  need cc build-essential
}

# need_cargo_tool COMMAND CRATE VERSION: a cargo subcommand, installed from its crate. Not optimised: it runs for seconds, and took minutes to compile.
need_cargo_tool() {
  command -v "$1" >/dev/null && return
  printf '  installing %s %s\n' "$2" "$3"
  CARGO_PROFILE_DEV_DEBUG=0 cargo install --debug --locked "$2" --version "$3" >>"$logs/cargo-install.log" 2>&1 </dev/null ||
    refuse "\`$1\` could not be installed: $(tail -1 "$logs/cargo-install.log"); try \`cargo install --locked $2\`"
}

# refuse WHY: ends the part as failed. For what is wrong before any step can run.
refuse() {
  printf '  %scannot run: %s%s\n' "$red" "$1" "$plain"
  count "$part" 1 0 1 0
  exit 1
}

# skip WHY: says that something of the part was left out. It counts as nothing.
skip() { printf '  left out: %s\n' "$1"; }

# ---- steps ----

# step NAME COMMAND...: runs the command with its output in a log; shows the end of it if it fails.
step() {
  local name=$1 log started seconds status passed failed
  shift
  log=$logs/$part/${name//[^A-Za-z0-9._-]/-}.log
  last_log=$log
  mkdir -p "${log%/*}"
  started=$SECONDS
  [[ -t 1 ]] && printf '  %-36s ...' "$name"
  "$@" >"$log" 2>&1 </dev/null
  status=$?
  seconds=$((SECONDS - started))
  read -r passed failed < <(cases "$log")
  # A step that failed without a failed case, or had no cases, counts itself.
  if ((status && !failed)); then failed=1; fi
  if ((!status && !failed && !passed)); then passed=1; fi
  if ((!status && failed)); then status=1; fi
  [[ -t 1 ]] && printf '\r'
  if ((status)); then
    printf '  %-36s %sFAILED%s  %5d s   %s\n' "$name" "$red" "$plain" "$seconds" "$log"
    show "$log"
  else
    printf '  %-36s %sok%s      %5d s   %d passed\n' "$name" "$green" "$plain" "$seconds" "$passed"
  fi
  count "$part" 1 "$passed" "$failed" "$seconds"
  return "$status"
}

# show LOG: the lines that speak of a failure, wherever in it they stand, and then its end. They come first, as whoever keeps this output may cut it short.
show() {
  local last=${UNBROKEN_TAIL:-40}
  grep -nE 'panicked at|^error|error:|FAILED|[Ff]ailed\b|^FAIL|^[0-9]+\) Test (Failure|Error)|^ *(Expected|But was):' "$1" |
    grep -vE 'test result: ok|[0-9]+ passed, 0 failed' | cut -c1-300 | head -n "$last" | sed 's/^/    | line /'
  tail -n "$last" "$1" | sed 's/^/    | /'
}

# figure WHAT PATTERN: what the last step's log says last in these words goes into the table of figures. A step that does not say it has failed to show it.
figure() {
  local said
  said=$(grep -oE -- "$2" "$last_log" | tail -n 1)
  if [[ -n $said ]]; then
    printf '%s\t%s\n' "$1" "$said" >>"$logs/figures"
  else
    printf '  %sno figure: %s%s\n' "$red" "$1" "$plain"
    count "$part" 0 0 1 0
  fi
}

# Passed and failed test cases that a log tells of: cargo's `test result:` lines, and lines `N passed, N failed` of scripts.
cases() {
  awk '
    match($0, /^test result: .*[0-9]+ passed; [0-9]+ failed/) { p += $4; f += $6 }
    /^[0-9]+ passed, [0-9]+ failed$/ { p += $1; f += $3 }
    END { print p + 0, f + 0 }' "$1"
}

# ---- counting ----

count() { printf '%s\t%d\t%d\t%d\t%d\n' "$@" >>"$logs/counts"; }

# A part that broke off without a failed step was broken itself.
ended_early() {
  awk -F'\t' -v part="$part" '$1 == part { failed += $4 } END { exit !failed }' "$logs/counts" 2>/dev/null && return
  printf '  %sthe part ended early%s\n' "$red" "$plain"
  count "$part" 0 0 1 0
}

run_part() {
  local part=$1
  printf '%s%s%s\n' "$bold" "$part" "$plain"
  if [[ ! -f tests/parts/$part.sh ]]; then
    (refuse "tests/parts/$part.sh is missing, although the table in tests/run names it")
    return
  fi
  # A subshell, so that a part's settings and its end are its own. A part that ends early without having said why has failed.
  # shellcheck source=/dev/null
  (. "tests/parts/$part.sh") || ended_early
  grep -q "^$part"$'\t' "$logs/counts" 2>/dev/null || { printf '  %sno step ran%s\n' "$red" "$plain"; count "$part" 0 0 1 0; }
}

# The table of figures, the table of parts, the line that counts, and the exit code.
summary() {
  printf '\n'
  if [[ -s $logs/figures ]]; then
    awk -F'\t' '{ printf "%-36s  %s\n", $1, $2 }' "$logs/figures"
    printf '\n'
  fi
  awk -F'\t' -v order="${todo[*]}" '
    { steps[$1] += $2; passed[$1] += $3; failed[$1] += $4; seconds[$1] += $5; p += $3; f += $4 }
    END {
      printf "%-10s %6s %8s %8s %8s\n", "part", "steps", "passed", "failed", "seconds"
      n = split(order, names, " ")
      for (i = 1; i <= n; i++) {
        name = names[i]
        printf "%-10s %6d %8d %8d %8d\n", name, steps[name], passed[name], failed[name], seconds[name]
      }
      printf "\n%d passed, %d failed\n", p, f
      exit f > 0 || p == 0
    }' "$logs/counts"
}
