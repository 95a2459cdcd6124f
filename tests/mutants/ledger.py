"""SCORES: a line for each file, and below it each mutant that nothing saw, with the line of code it changes and the reason why that is right.

Numbers of lines are not in it: a survivor is known by its function, the change, and the line's text."""

import datetime

import tree

SCORES = tree.HERE / "SCORES"
UNREASONED = "?"
HEAD = "# file | date | content | mutants | caught | timeouts | unviable | survivors; then each survivor: change | line | reason\n"


class Score:
    """What came of a file: how many of each kind, and who is left."""

    def __init__(self, mutants=0, caught=0, hung=0, unviable=0):
        self.mutants, self.caught, self.hung, self.unviable = mutants, caught, hung, unviable
        # By which each is known: the change, and the line's text.
        self.survivors = []

    def __str__(self):
        return f"{self.mutants} mutants, {self.caught} caught, {self.hung} hung, {self.unviable} do not compile, {len(self.survivors)} left"


class Ledger:
    def __init__(self):
        self.read()

    def read(self):
        self.lines, self.reasons = {}, {}
        file = None
        for line in SCORES.read_text().splitlines() if SCORES.exists() else []:
            if line.startswith("#") or not line.strip():
                continue
            fields = [field.strip() for field in line.split(" | ")]
            if line.startswith(" "):
                changed, text, reason = fields[0], " | ".join(fields[1:-1]), fields[-1]
                self.reasons.setdefault(file, {})[changed, text] = reason
            else:
                file = fields[0]
                self.lines[file] = fields[1:]

    def reason(self, file, survivor):
        return self.reasons.get(file, {}).get(survivor, UNREASONED)

    def open(self, file):
        """The survivors without a reason."""
        return {survivor for survivor, reason in self.reasons.get(file, {}).items() if reason == UNREASONED}

    def is_current(self, file):
        return file in self.lines and self.lines[file][1] == content(file)

    def score(self, file):
        """What stands there, with those survivors that have a reason."""
        score = Score(*map(int, self.lines[file][2:6]))
        score.survivors = [survivor for survivor, reason in self.reasons.get(file, {}).items() if reason != UNREASONED]
        return score

    def enter(self, file, score):
        """Replaces what was known of the file; reasons of those that still survive are kept."""
        # Somebody may have written reasons while the mutants ran.
        self.read()
        kept = {survivor: self.reason(file, survivor) for survivor in score.survivors}
        figures = [score.mutants, score.caught, score.hung, score.unviable, len(score.survivors)]
        self.lines[file] = [datetime.date.today().isoformat(), content(file), *map(str, figures)]
        self.reasons[file] = kept
        text = HEAD
        for name in sorted(self.lines, key=tree.place):
            text += " | ".join([name, *self.lines[name]]) + "\n"
            for (changed, line), reason in self.reasons.get(name, {}).items():
                text += f"    {changed} | {line} | {reason}\n"
        SCORES.write_text(text)


def content(file):
    """git's name for what is in the file, which a rebase does not change."""
    return tree.output("git", "hash-object", file).strip()[:10]
