"""The copy of the tree that has all of the mutants in it, each behind a switch.

tests/mutants/switch writes it. Not every mutant compiles, so the compiler is asked, and a mutant that it complains of is taken out, until it is
content. Where an error stands tells whose it is, by the marks in the text (see switch/src/place.rs):

  - in the mutant's own text, and it is one of types or names: the mutant is no Rust that compiles, and cargo-mutants would say the same;
  - elsewhere in what its switch put there, or of another kind, such as borrows: perhaps only the switch is to blame. The mutant is built alone.
  - a `const fn` lost its `const` to the switches in it, but is called where the compiler computes: it becomes `const` again, without switches.
"""

import json
import re

import tree

TREE = tree.WORK / "tree"
STAGE = tree.WORK / "stage"
FATES = tree.WORK / "fates.json"

UNVIABLE, ALONE = "unviable", "alone"

# Types do not fit, names or methods are not there, or the compiler computed the value and it overflows: errors that do not come from what stands around.
# Not what concerns borrows or inference, which a switch may have caused.
INTRINSIC = set("E0061 E0277 E0308 E0368 E0369 E0412 E0423 E0425 E0432 E0433 E0599 E0600 E0604 E0605 E0606 E0608 E0614 E0618".split())
INTRINSIC |= {"arithmetic_overflow", "unconditional_panic", "overflowing_literals"}

SWITCH = """
/// Which mutant is switched on.
#[doc(hidden)]
pub mod mutants {
    extern crate std;
    use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
    use std::{env, fs::File, io::Write, sync::OnceLock};

    /// A number that is no mutant's: none is on; none is, and who is reached is written down; it is not known yet.
    const NONE: u32 = u32::MAX - 2;
    const RECORD: u32 = u32::MAX - 1;
    const UNKNOWN: u32 = u32::MAX;

    static ON: AtomicU32 = AtomicU32::new(UNKNOWN);
    static SEEN: [AtomicU32; COUNT / 32 + 1] = [const { AtomicU32::new(0) }; COUNT / 32 + 1];
    static FILE: OnceLock<File> = OnceLock::new();

    /// Whether it is this one.
    #[inline]
    pub fn on(mutant: u32) -> bool {
        let on = ON.load(Relaxed);
        on == mutant || on >= RECORD && look(mutant)
    }

    #[cold]
    #[inline(never)]
    fn look(mutant: u32) -> bool {
        if ON.load(Relaxed) == UNKNOWN {
            let chosen = env::var("UNBROKEN_MUTANT").ok().and_then(|number| number.parse().ok());
            let record = env::var("UNBROKEN_REACHED").ok();
            ON.store(chosen.unwrap_or(if record.is_some() { RECORD } else { NONE }), Relaxed);
            if let Some(path) = record {
                let _ = FILE.set(File::options().append(true).create(true).open(path).unwrap());
            }
        }
        let bit = 1 << (mutant % 32);
        if let Some(mut file) = FILE.get() && SEEN[mutant as usize / 32].fetch_or(bit, Relaxed) & bit == 0 {
            file.write_all(&mutant.to_le_bytes()).unwrap();
        }
        ON.load(Relaxed) == mutant
    }
}
"""


class Switched:
    """`fates` has each mutant that got no switch, and why; `programs` the test programs; `content` names what they were built from."""

    def __init__(self, mutants, what):
        self.mutants, self.what = mutants, what
        self.original = tree.tracked()
        self.fates, self.constant = {}, set()
        self.program = build_switch()
        # What was found out of the same core needs not to be found out again.
        self.key = tree.digest({name: text for name, text in self.original.items() if name.startswith(("src/", "tests/mutants/switch/"))})
        if FATES.exists() and (known := json.loads(FATES.read_text()))["key"] == self.key:
            self.fates = {int(number): fate for number, fate in known["fates"].items()}
            self.constant = set(known["constant"])

    def build(self):
        # The cheap questions first, if it is not known what comes of them.
        cheap = [] if self.fates else [["check", *tree.UNIT], ["check", "--profile", "test", *tree.UNIT]]
        for words in [*cheap, ["test", "--no-run", *self.what]]:
            while True:
                self.write()
                well, errors, programs = tree.cargo(TREE, *words)
                if well:
                    break
                self.blame(errors)
        self.programs = programs
        known = {"key": self.key, "fates": self.fates, "constant": sorted(self.constant)}
        FATES.write_text(json.dumps(known))

    def write(self):
        wanted = dict(self.original)
        tree.write(STAGE, {name: content for name, content in wanted.items() if name.startswith("src/")})
        task = {
            "mutants": [mutant.listed for mutant in self.mutants],
            "without": sorted(self.fates),
            "constant": sorted(self.constant),
        }
        command = [self.program, tree.ROOT, STAGE]
        told = json.loads(tree.output(*command, input=json.dumps(task)))
        for mutant, said in zip(self.mutants, told):
            if said != "switched":
                self.fates.setdefault(mutant.number, UNVIABLE if said == "no rust" else ALONE)
        for name in wanted:
            if name.startswith("src/"):
                wanted[name] = (STAGE / name).read_bytes()
        switch = SWITCH.replace("COUNT", str(len(self.mutants)))
        wanted["src/lib.rs"] = b"#![allow(warnings)] " + wanted["src/lib.rs"] + switch.encode()
        tree.write(TREE, wanted)
        # This program and SCORES are in the tree too, and so is much that no test comes near.
        beside = re.compile(r"tests/(mutants|parts)/|.*\.md$")
        self.content = tree.digest({name: text for name, text in wanted.items() if not beside.match(name)})

    def blame(self, errors):
        """Takes out whom the errors concern."""
        marks, before = {}, (len(self.fates), len(self.constant))
        for error in errors:
            if name := re.search(r"cannot call non-const .*`([^`]+)`", error["message"]):
                self.constant.add(re.sub(r"::<.*>$", "", name[1]).split("::")[-1])
                continue
            code = (error["code"] or {}).get("code")
            for file, start, primary in places(error):
                if file not in marks:
                    marks[file] = stretches(file)
                if not (around := [mark for mark in marks[file] if mark[0] <= start < mark[1]]):
                    continue
                _, _, number, own = min(around, key=lambda mark: mark[1] - mark[0])
                mutant = self.mutants[number]
                # A hidden type is fixed by the body, of which the mutant's is another.
                hidden = code in ("E0277", "E0308") and re.search(r"\bimpl\b", mutant.function["return_type"])
                named = code in INTRINSIC or error["message"].startswith("cannot find macro")
                self.fates[number] = UNVIABLE if own and primary and named and not hidden else ALONE
                break
        if before == (len(self.fates), len(self.constant)):
            print("".join(error["rendered"] for error in errors[:5]))
            raise SystemExit("the tree with the switches does not compile, and no mutant is to blame")


def build_switch():
    manifest = tree.HERE / "switch" / "Cargo.toml"
    environment = {**tree.ENVIRONMENT, "CARGO_TARGET_DIR": str(tree.WORK / "switch")}
    if tree.run("cargo", "build", "--quiet", "--locked", "--manifest-path", manifest, env=environment).returncode:
        raise SystemExit("tests/mutants/switch does not compile")
    return tree.WORK / "switch" / "debug" / "unbroken-mutants"


def places(error):
    """Where the error stands, its main place first: file, byte, whether it is the main one."""
    spans = sorted(error["spans"], key=lambda span: not span["is_primary"])
    for span in spans:
        primary = span["is_primary"]
        # What a macro made stands where the macro was called.
        while span["expansion"] and not (TREE / span["file_name"]).is_relative_to(TREE / "src"):
            span = span["expansion"]["span"]
        if span["file_name"].startswith("src/"):
            yield span["file_name"], span["byte_start"], primary


def stretches(file):
    """What is marked in the file: from, to, the mutant, whether it is its own text and not only its switch."""
    text, begun, found = (TREE / file).read_bytes(), {}, []
    for mark in re.finditer(rb"/\*(?:([\[<])(\d+)|(\d+)([\]>]))\*/", text):
        if mark[1]:
            begun[mark[2], mark[1]] = mark.end()
        else:
            own = mark[4] == b">"
            found.append((begun[mark[3], b"<" if own else b"["], mark.start(), int(mark[3]), own))
    return found
