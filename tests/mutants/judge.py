"""What comes of each mutant: one that is switched, one that is built alone, one that does not compile."""

import collections
import concurrent.futures
import time

import alone
import tree
from asking import CAUGHT, SURVIVED, Tests, ask
from switched import ALONE, UNVIABLE, Switched

VERDICTS = tree.WORK / "verdicts"

# Any mutant will do that tests of its own function see.
CANARY = "src/wire/varint.rs", "replace len -> usize with 0"


class Known:
    """What came of each mutant of the tree as it is: a run that was broken off goes on where it was, and survivors can be asked of more tests.

    A line for each: the number, what came of it, how long the tests from outside were of which it was asked, who saw it, its name."""

    def __init__(self, content, most):
        self.most, self.lines = most, {}
        first, *lines = VERDICTS.read_text().splitlines() if VERDICTS.exists() else [""]
        if first == content:
            self.lines = {int(number): said for number, *said in (line.split("\t") for line in lines)}
            self.file = open(VERDICTS, "a", buffering=1)
        else:
            self.file = open(VERDICTS, "w", buffering=1)
            print(content, file=self.file)

    def of(self, mutant):
        came, most, said, _ = self.lines.get(mutant.number, (SURVIVED, -1, "", ""))
        return None if came == SURVIVED and float(most) < self.most else (came, said)

    def write(self, mutant, came, said):
        print(mutant.number, came, self.most, said, mutant.name, sep="\t", file=self.file)


class Judge:
    """Asks mutants, and tells of each file when the last of it has been asked."""

    def __init__(self, every, jobs, unit, most):
        self.every, self.jobs, self.what = every, jobs, tree.UNIT if unit else tree.ALL
        self.switched = Switched(every, self.what)
        self.switched.build()
        fates = collections.Counter(self.switched.fates.values())
        print(f"{len(every)} mutants in the core: {fates[UNVIABLE]} do not compile, {fates[ALONE]} are built alone, the others are switched", flush=True)
        self.tests = Tests(self.switched, jobs, most)
        taken = sum(test.seconds for test in self.tests.all)
        print(f"all tests pass with no mutant on; {len(self.tests.all)} are asked, which take {taken:.0f} s of CPU", flush=True)
        self.sing()
        tree.write(alone.TREE, self.switched.original)
        self.known = Known(self.switched.content, 0 if unit else most)

    def sing(self):
        """A mutant that is known to be caught is caught, and by a test that sees it; else all that is told here is worth nothing."""
        known = next((mutant for mutant in self.every if (mutant.file, mutant.key[0]) == CANARY), None)
        if not known or known.number in self.switched.fates or self.judge(known)[0] != CAUGHT:
            raise SystemExit(f"`{CANARY[1]}` is not caught; either the switches do not work, or it must be another mutant")

    def judge(self, mutant):
        fate = self.switched.fates.get(mutant.number)
        if fate == UNVIABLE:
            return UNVIABLE, ""
        if fate == ALONE:
            return alone.judge(mutant, self.tests, self.what)
        return ask(self.tests.of(mutant.number), {"UNBROKEN_MUTANT": str(mutant.number)})

    def outcome(self, mutant):
        """What is known of it from an earlier run, or what comes of it now."""
        if not (said := self.known.of(mutant)):
            said = self.judge(mutant)
            self.known.write(mutant, *said)
        return said

    def files(self, mutants, minutes=float("inf")):
        """Each file with its mutants and what came of each, as they are done. No file is begun after so many minutes."""
        files, came, begun = collections.defaultdict(list), {}, set()
        for mutant in mutants:
            files[mutant.file].append(mutant)
        order = sorted(files, key=tree.place)
        started = time.monotonic()

        def ask_now(mutant):
            if mutant.file in begun or time.monotonic() - started < minutes * 60:
                begun.add(mutant.file)
                came[mutant] = self.outcome(mutant)

        def is_alone(mutant):
            return self.switched.fates.get(mutant.number) == ALONE

        def done(file):
            return [(mutant, *came[mutant]) for mutant in files[file]]

        # Two trees cannot be built at once, and a file is not done before its last mutant: so those that are built alone come behind all others.
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            asked = {file: [pool.submit(ask_now, one) for one in files[file] if not is_alone(one)] for file in order}
            try:
                for file in order:
                    for one in asked[file]:
                        one.result()
                    if file in begun and not any(map(is_alone, files[file])):
                        yield file, done(file)
            finally:
                # Who breaks it off does not want to wait for the rest.
                pool.shutdown(cancel_futures=True)
        for file in order:
            if left := [one for one in files[file] if is_alone(one)]:
                for one in left:
                    ask_now(one)
                if file in begun:
                    yield file, done(file)
