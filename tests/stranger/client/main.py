"""Runs every scenario against the server and counts: main.py SERVER_PROGRAM [--seed N] [--messages N] [--only NAME]."""

import argparse
import random
import sys
import time
import traceback

import scenarios
from server import Server


class Run:
    """What the scenarios share."""

    def __init__(self, server, seed, messages):
        self.server, self.rng, self.messages = server, random.Random(seed), messages
        self.cuts = self.echoed = 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--messages", type=int, default=6000)
    parser.add_argument("--only")
    options = parser.parse_args()
    run = Run(Server(options.program), options.seed, options.messages)
    passed = failed = 0
    for scenario in scenarios.ALL:
        if options.only and scenario.__name__ != options.only:
            continue
        start = time.monotonic()
        try:
            line = scenario(run)
            passed += 1
            print(f"ok      {scenario.__name__} ({time.monotonic() - start:.1f} s): {line}", flush=True)
        except Exception as why:
            failed += 1
            print(f"FAILED  {scenario.__name__} (seed {options.seed}): {why}", flush=True)
            if not isinstance(why, scenarios.Failed):
                traceback.print_exc()
            run.server.stop()
            run.server = Server(options.program)  # what is left of the session must not disturb the next
    run.server.stop()
    if not options.only and (run.cuts < 50 or run.echoed < 2000):
        failed += 1
        print(f"FAILED  nothing much happened: {run.cuts} links cut, {run.echoed} messages echoed")
    print(f"stranger: {run.echoed} messages each way over {run.cuts} cuts with seed {options.seed}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
