"""Copies of the tree below target/mutants, and what cargo is asked for in them."""

import collections
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "mutants"
BUILD = WORK / "build"
VERSION = "27.1.0"

# What protects the most comes first; then whatever else is there, by name.
ORDER = ["src/wire/", "src/crypto/", "src/snapshot/", "src/session/", "src/endpoint/"]
# Not of the default build: the test double, and the backend that the golden values of the other one are compared with.
LEFT_OUT = ["src/crypto/backend/mock.rs", "src/crypto/backend/aws_lc.rs"]

# Whose tests are asked: the core's own, and those from outside.
UNIT = ["-p", "unbroken", "--lib"]
ALL = ["-p", "unbroken", "-p", "unbroken-sim", "-p", "unbroken-fuzz-oracles", "--lib", "--tests"]

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("RUST_BACKTRACE")},
    "CARGO_TARGET_DIR": str(BUILD),
    "CARGO_INCREMENTAL": "1",
    "CARGO_PROFILE_DEV_DEBUG": "none",
    "CARGO_TERM_COLOR": "never",
}


def run(*command, **options):
    return subprocess.run([str(word) for word in command], text=True, **options)


def output(*command, **options):
    return run(*command, cwd=ROOT, check=True, stdout=subprocess.PIPE, **options).stdout


# ---- the core and its mutants ----


def place(file):
    return next((index for index, folder in enumerate(ORDER) if file.startswith(folder)), len(ORDER)), file


def core():
    files = [str(path.relative_to(ROOT)) for path in (ROOT / "src").rglob("*.rs")]
    return sorted((file for file in files if not re.search(r"/tests(/|\.rs$)", file) and file not in LEFT_OUT), key=place)


def need_cargo_mutants():
    if run("cargo", "mutants", "--version", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        print(f"installing cargo-mutants {VERSION}", flush=True)
        if run("cargo", "install", "--locked", "cargo-mutants", "--version", VERSION).returncode:
            raise SystemExit("cargo-mutants could not be installed")


class Mutant:
    """One of those that cargo-mutants lists: its number in the list, and what is said of it."""

    def __init__(self, number, listed, lines):
        self.number, self.listed = number, listed
        self.file, self.name, self.genre = listed["file"], listed["name"], listed["genre"]
        self.function = listed["function"] or {"function_name": "", "return_type": ""}
        self.line = listed["span"]["start"]["line"]
        # Numbers of lines change with every edit; by this it is known in SCORES, where ` | ` stands between change and line.
        self.key = re.sub(r"^\S+?:\d+:\d+: ", "", self.name).replace(" | ", "|"), lines[self.line - 1].strip()

    def mutated(self, text):
        """The file with the mutant in it."""
        starts = [0]
        for line in text.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        at = [starts[self.listed["span"][end]["line"] - 1] + self.listed["span"][end]["column"] - 1 for end in ("start", "end")]
        return text[: at[0]] + self.listed["replacement"] + text[at[1] :]


def mutants(*options):
    """All of the core, or of them what `options` leaves."""
    listed = json.loads(output("cargo", "mutants", "--list", "--json", "--file", "src/**/*.rs", *options) or "[]")
    files = {file: (ROOT / file).read_text().splitlines() for file in core()}
    found = [Mutant(number, one, files[one["file"]]) for number, one in enumerate(one for one in listed if one["file"] in files)]
    alike = collections.Counter()
    for mutant in found:
        alike[mutant.file, mutant.key] += 1
        if (nth := alike[mutant.file, mutant.key]) > 1:
            mutant.key = f"{mutant.key[0]} (number {nth})", mutant.key[1]
    return found


# ---- copies ----


def tracked():
    """What git knows or would know, with its content."""
    listed = output("git", "ls-files", "-co", "--exclude-standard", "-z").split("\0")
    return {name: (ROOT / name).read_bytes() for name in listed if name and (ROOT / name).is_file()}


def write(tree, wanted):
    """Only what differs is written, so that cargo builds no more than it must."""
    tree.mkdir(parents=True, exist_ok=True)
    for path in list(tree.rglob("*")):
        if path.is_file() and str(path.relative_to(tree)) not in wanted:
            path.unlink()
    for name, content in wanted.items():
        copy = tree / name
        if not copy.exists() or copy.read_bytes() != content:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(content)
            if (ROOT / name).exists():
                shutil.copymode(ROOT / name, copy)


def digest(files):
    """A name for the contents."""
    sum_of_all = hashlib.sha256()
    for name in sorted(files):
        sum_of_all.update(f"{name} {len(files[name])}\n".encode() + files[name])
    return sum_of_all.hexdigest()


# ---- cargo ----


def cargo(tree, *command, build=BUILD):
    """Whether it went well; its errors, each as the compiler tells it; and the test programs: name, path, directory to run it in.

    Each tree needs a `build` of its own. To cargo they hold the same packages, and what was built of one would count as built of the other, as it is newer than its files."""
    environment = {**ENVIRONMENT, "CARGO_TARGET_DIR": str(build)}
    done = run("cargo", *command, "--message-format", "json", cwd=tree, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    errors, programs = [], []
    for line in done.stdout.splitlines():
        message = json.loads(line) if line.startswith("{") else {}
        if message.get("reason") == "compiler-message" and message["message"]["level"].startswith("error"):
            errors.append(message["message"])
        elif message.get("executable") and message["profile"]["test"]:
            where = pathlib.Path(message["manifest_path"]).parent
            programs.append((message["target"]["name"], message["executable"], where))
    if done.returncode and not errors:
        print(done.stderr[-4000:])
        raise SystemExit(f"cargo {command[0]} fails")
    return not done.returncode, errors, programs
