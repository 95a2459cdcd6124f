"""The tests: what they are, which mutants each of them reaches, and what they say of one that is on.

Each test runs alone once, with no mutant on. That proves that it passes, tells how long it takes, and which switches it comes by: a mutant behind a switch
that no test comes by has survived, and others are asked only of the tests that reach them. The quickest are asked first, some in each process, and more in each
process than in the one before; the first process that fails has caught the mutant.
"""

import concurrent.futures
import json
import os
import re
import signal
import struct
import subprocess
import tempfile
import threading

import tree

REACHED = tree.WORK / "reached.json"

# The tree reads the environment, which the core must not; and a test that runs seeds of the simulator takes as long as many others.
SKIPPED = re.compile("purity|seeds")

# A mutant may be a loop that allocates for ever, or only a loop. Of the CPU tests have five times what they take, and of the clock, for one that waits, much more.
SHELL = 'ulimit -v 8388608; ulimit -S -t "$0"; exec nice -n 5 "$@"'
PATIENCE = 5
SECONDS_AT_LEAST = 3

CAUGHT, HUNG, SURVIVED = "caught", "hung", "survived"

ENVIRONMENT = {
    **tree.ENVIRONMENT,
    # A failure need not be made small or kept for the next time, and each run is the same.
    "PROPTEST_MAX_SHRINK_ITERS": "0",
    "PROPTEST_DISABLE_FAILURE_PERSISTENCE": "true",
    "PROPTEST_RNG_SEED": "1",
}


class Test:
    """`seconds` of CPU, and the numbers of the mutants that it `reached`."""

    def __init__(self, kind, program, where, name):
        self.kind, self.program, self.where, self.name = kind, program, where, name
        self.unit = kind == "unbroken"
        self.seconds, self.reached = 0.0, frozenset()


def run(tests, environment, seconds=3600):
    """Runs some tests of one program. What came of it, the seconds of CPU it took, and what it said."""
    program, where = tests[0].program, tests[0].where
    late = threading.Event()
    command = ["sh", "-c", SHELL, str(int(seconds) + 1), program, "--test-threads", "1", "--exact", *(test.name for test in tests)]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=where, env={**ENVIRONMENT, **environment}, stdout=said, stderr=subprocess.STDOUT)
        alarm = threading.Timer(60 + 20 * seconds, lambda: (late.set(), process.kill()))
        alarm.start()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        alarm.cancel()
        said.seek(0)
        text = said.read().decode(errors="replace")
    took = usage.ru_utime + usage.ru_stime
    if process.returncode == 0:
        return SURVIVED, took, text
    return HUNG if late.is_set() or process.returncode == -signal.SIGXCPU else CAUGHT, took, text


def find(programs):
    """The tests of the programs, without those that are ignored anyway."""
    found = []
    for kind, program, where in programs:
        command = [program, "--list", "--format", "terse"]
        listed = [tree.run(*command, *more, cwd=where, check=True, stdout=subprocess.PIPE).stdout for more in ([], ["--ignored"])]
        every, ignored = (re.findall(r"^(.*): test$", text, re.M) for text in listed)
        found += [Test(kind, program, where, one) for one in every if one not in ignored and not SKIPPED.search(one)]
    if not found:
        raise SystemExit("there is no test")
    return found


class Tests:
    """All of them, the quickest first and the core's own before the others, of which those that take more than `most` seconds are left out."""

    def __init__(self, switched, jobs, most):
        self.all = find(switched.programs)
        known = json.loads(REACHED.read_text()) if REACHED.exists() else {}
        if known.get("content") == switched.content:
            for test in self.all:
                if of_test := known["tests"].get(f"{test.program} {test.name}"):
                    test.seconds, test.reached = of_test[0], frozenset(of_test[1])
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            wrong = [test for test in pool.map(self.look, self.all) if test]
        if wrong:
            raise SystemExit(f"without any mutant {len(wrong)} tests fail")
        entries = {f"{test.program} {test.name}": (test.seconds, sorted(test.reached)) for test in self.all}
        REACHED.write_text(json.dumps({"content": switched.content, "tests": entries}))
        self.all = [test for test in self.all if test.unit or test.seconds <= most]
        self.all.sort(key=lambda test: (not test.unit, test.seconds))

    def look(self, test):
        """Runs it with no mutant on; gives it back if it fails."""
        if test.seconds:
            return None
        with tempfile.NamedTemporaryFile(dir=tree.WORK) as file:
            came, test.seconds, text = run([test], {"UNBROKEN_REACHED": file.name})
            if came != SURVIVED or "test result: ok. 1 passed" not in text:
                print(f"{test.program}: {test.name}\n{text[-2000:]}", flush=True)
                return test
            numbers = file.read()
        test.reached = frozenset(number for (number,) in struct.iter_unpack("<I", numbers))
        return None

    def of(self, mutant):
        return [test for test in self.all if mutant in test.reached]


def batches(tests):
    """The tests in their order, some for each process, which has tests of one program: first those of 50 ms, then four times as much, up to a second."""
    room, taken, window = 0.05, 0.0, {}
    for test in tests:
        if window and taken + test.seconds > room:
            yield from window.values()
            room, taken, window = min(room * 4, 1.0), 0.0, {}
        window.setdefault(test.program, []).append(test)
        taken += test.seconds
    yield from window.values()


def ask(tests, environment):
    """What the tests say, and which of them said so."""
    for batch in batches(tests):
        seconds = SECONDS_AT_LEAST + PATIENCE * sum(test.seconds for test in batch)
        came, _, text = run(batch, environment, seconds)
        if came != SURVIVED:
            failed = re.search(r"^test (\S+) .*\bFAILED$", text, re.M)
            running = re.findall(r"^test (\S+) \.\.\. ", text, re.M)
            return came, failed[1] if failed else running[-1] if running else batch[0].name
    return SURVIVED, "" if tests else "no test reaches it"
