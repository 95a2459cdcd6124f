"""A mutant that cannot be switched, as the compiler computes what it changes: its tree is built for it alone, which takes some seconds."""

import tree
from asking import SURVIVED, ask, find
from switched import UNVIABLE

TREE = tree.WORK / "plain"
BUILD = tree.WORK / "alone"


def judge(mutant, tests, what):
    """What comes of it. `tests` tell how long each takes; which of them reach it is not known, so all are asked."""
    path = TREE / mutant.file
    text = path.read_text()
    path.write_text(mutant.mutated(text))
    try:
        # The core's own tests are built much more quickly than those from outside.
        for words in (tree.UNIT, *([what] if what != tree.UNIT else [])):
            well, _, programs = tree.cargo(TREE, "test", "--no-run", *words, build=BUILD)
            if not well:
                return UNVIABLE, ""
            built = {(test.kind, test.name): test for test in find(programs)}
            asked = []
            for test in tests.all:
                if test.unit == (words is tree.UNIT) and (found := built.get((test.kind, test.name))):
                    found.seconds = test.seconds
                    asked.append(found)
            came, said = ask(asked, {})
            if came != SURVIVED:
                return came, said
        return SURVIVED, ""
    finally:
        path.write_text(text)
