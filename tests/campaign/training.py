"""Targets that disturb training: whatever happens, the same command goes on, and ends as if nothing had happened."""

import errno
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.campaign.budget import Budget, Tally
from tests.campaign.child import FOREIGN, End, differences, settings_in, start, wait

ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EACCES, errno.EROFS)


class Bench:
    """A run that was left in peace, and starts that are not.

    Args:
        folder: Where to write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = settings_in(folder)
        self.peace, self.run, self.said = folder / "peace", folder / "run", folder / "said"
        counted = folder / "operations"
        began = time.monotonic()
        end = wait(start(self.told(self.peace), self.said, lambda number: _note(counted, number)), self.said)
        assert end.code == 0, end.told
        self.seconds = time.monotonic() - began
        self.operations = int(counted.read_text())

    def told(self, run: Path) -> dict:
        return self.settings | {"run": str(run)}

    def begin(self, deed: Callable[[int], None] | None = None) -> int:
        """Start, or go on with, the run that is disturbed."""
        return start(self.told(self.run), self.said, deed)

    def finish(self, *, stopped: bool = False) -> str:
        """Let the run come to its end in peace, and say what is wrong with it; empty where nothing is."""
        end = wait(self.begin(), self.said)
        if end.code != 0:
            return f"the next start ended with {end.code}: {end.told}"
        wrong = differences(self.peace, self.run, self.settings["steps"] if stopped else None)
        return f"the end differs in {', '.join(wrong)}" if wrong else ""

    def clear(self) -> None:
        shutil.rmtree(self.run, ignore_errors=True)


def _note(path: Path, number: int) -> None:
    path.write_text(str(number))


def _report(tally: Tally, what: str, wrong: str) -> None:
    if wrong:
        tally.findings.append(f"{tally.name}, try {tally.tried}: {what}: {wrong}")


def kills(budget: Budget) -> Tally:
    """SIGKILL at random moments, up to four times in one run."""
    tally, bench = Tally("kills"), Bench(budget.folder)
    for chance in budget.tries(tally):
        bench.clear()
        when = [chance.uniform(0, bench.seconds) for _ in range(chance.randint(1, 4))]
        for seconds in when:
            number = bench.begin()
            time.sleep(seconds)
            os.kill(number, signal.SIGKILL)
            if wait(number, bench.said).code == -signal.SIGKILL:
                tally.count("kills")
        _report(tally, f"killed after {', '.join(f'{seconds:.3f} s' for seconds in when)}", bench.finish())
    return tally


def operations(budget: Budget) -> Tally:
    """SIGKILL just before a file operation; every one in turn, in an order of their own."""
    tally, bench = Tally("operations"), Bench(budget.folder)
    order = random.Random(budget.seed).sample(range(1, bench.operations + 1), bench.operations)
    for chance in budget.tries(tally):
        bench.clear()
        again = tally.tried >= len(order)  # after one round, two kills in one run
        places = [order[tally.tried % len(order)]] + ([chance.randint(1, bench.operations)] if again else [])
        for place in places:
            end = wait(bench.begin(lambda number, place=place: _kill(number == place)), bench.said)
            if end.code == -signal.SIGKILL:
                tally.count("kills")
            elif end.code != 0:
                _report(tally, f"before operation {place}", f"ended with {end.code}: {end.told}")
        _report(tally, f"killed before operation {places}", bench.finish())
    tally.facts["of a run"] = bench.operations
    return tally


def _kill(now: bool) -> None:
    if now:
        os.kill(os.getpid(), signal.SIGKILL)


def disk(budget: Budget) -> Tally:
    """The system refuses a file operation, once or from then on: one sentence, and nothing lost."""
    tally, bench = Tally("disk"), Bench(budget.folder)
    for chance in budget.tries(tally):
        bench.clear()
        code, place, lasting = chance.choice(ERRORS), chance.randint(1, bench.operations), chance.random() < 0.5

        def refuse(number: int, code: int = code, place: int = place, lasting: bool = lasting) -> None:
            if number == place or (lasting and number > place):
                raise OSError(code, os.strerror(code))

        end = wait(bench.begin(refuse), bench.said)
        tally.count("refused" if end.code else "went on")
        what = f"{errno.errorcode[code]} at operation {place}{' and after' if lasting else ''}"
        _report(tally, what, _not_one_sentence(end) or bench.finish())
    return tally


def _not_one_sentence(end: End) -> str:
    sound = end.code == 0 or (end.code not in (FOREIGN, 130, 143) and end.code > 0 and end.told.count("\n") == 1)
    return "" if sound else f"ended with {end.code}: {end.told}"


def interrupts(budget: Budget) -> Tally:
    """Ctrl-C and SIGTERM, at random moments and before file operations, sometimes twice."""
    tally, bench = Tally("interrupts"), Bench(budget.folder)
    for chance in budget.tries(tally):
        bench.clear()
        kind, twice = chance.choice((signal.SIGINT, signal.SIGTERM)), chance.random() < 0.3
        if chance.random() < 0.5:
            place = chance.randint(1, bench.operations)
            what = f"{kind.name} before operation {place}"

            def send(number: int, place: int = place, kind: int = kind, twice: bool = twice) -> None:
                if number == place or (twice and number == place + 1):
                    os.kill(os.getpid(), kind)

            number = bench.begin(send)
        else:
            seconds = chance.uniform(0, bench.seconds)
            what, number = f"{kind.name} after {seconds:.3f} s", bench.begin()
            time.sleep(seconds)
            for _ in range(1 + twice):
                os.kill(number, kind)
        end = wait(number, bench.said)
        tally.count("stopped" if end.code else "was through")
        foreign = end.code not in (0, 130, 143, -signal.SIGTERM, -signal.SIGINT)
        wrong = f"ended with {end.code}: {end.told}" if foreign else bench.finish(stopped=True)
        _report(tally, f"{what}{', twice' if twice else ''}", wrong)
    return tally
