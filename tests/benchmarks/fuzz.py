"""How many inputs nobody would write are accepted, properly refused, crash, or take too long.

    python tests/benchmarks/fuzz.py [--inputs 2500] [--seconds 10] [--seed 0] [--only NAME] [--show 3]

`inputs` is for each generator of `tests/language/fuzzing.py`; `seconds` is the time allowed for one input, after which
it counts as hung. Crashes are shown with what led to them. The exit status is 1 if anything crashed or hung.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

sys.path.insert(0, str(Path(__file__).parents[1]))
from language.fuzzing import GENERATORS

OUTCOMES = ("accepted", "refused", "crashed", "hung")


class Hung(BaseException):
    """An input took longer than it may. No `Exception`, so that nothing on the way swallows it."""


@dataclass
class Tally:
    counts: Counter[str] = field(default_factory=Counter)
    faults: dict[str, tuple[Any, str]] = field(default_factory=dict)
    slowest: float = 0.0
    seconds: float = 0.0


def outcome(run: Callable[[Any], bool], value: Any, limit: float, tally: Tally) -> str:
    """One of `OUTCOMES`; faults are kept, one for each line of ours where they came from."""
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        return "accepted" if run(value) else "refused"
    except Hung:
        tally.faults.setdefault(f"hung {value!r:.80}", (value, traceback.format_exc()))
        return "hung"
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "/ppl/" in f.filename] or ["no frame of ours"]
        tally.faults.setdefault(f"{type(error).__name__} {frames[-1]}", (value, traceback.format_exc()))
        return "crashed"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def measure(name: str, inputs: int, limit: float, seed: int) -> Tally:
    strategy, run = GENERATORS[name]
    tally = Tally()

    @seeded(seed)
    @settings(
        max_examples=inputs, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def one(value: Any) -> None:
        if sum(tally.counts.values()) >= inputs:
            return
        start = time.perf_counter()
        tally.counts[outcome(run, value, limit, tally)] += 1
        elapsed = time.perf_counter() - start
        tally.seconds += elapsed
        tally.slowest = max(tally.slowest, elapsed)

    one()
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=2500)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=GENERATORS)
    parser.add_argument("--show", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    random.seed(options.seed)

    def alarm(number: int, frame: Any) -> None:
        raise Hung

    signal.signal(signal.SIGALRM, alarm)
    print(f"| inputs | {' | '.join(['tried', *OUTCOMES])} | slowest | all |")
    print("| --- |" + " ---: |" * 7)
    total = Counter[str]()
    for name in [options.only] if options.only else GENERATORS:
        tally = measure(name, options.inputs, options.seconds, options.seed)
        total.update(tally.counts)
        numbers = [sum(tally.counts.values()), *(tally.counts[each] for each in OUTCOMES)]
        print(
            f"| {name} | {' | '.join(map(str, numbers))} | {tally.slowest:.2f} s | {tally.seconds:.0f} s |", flush=True
        )
        for where, (value, trace) in list(tally.faults.items())[: options.show]:
            print(f"\n{where}\n{value!r}\n{trace}", file=sys.stderr)
    numbers = [sum(total.values()), *(total[each] for each in OUTCOMES)]
    print(f"| together | {' | '.join(map(str, numbers))} | | |")
    return int(bool(total["crashed"] + total["hung"]))


if __name__ == "__main__":
    sys.exit(main())
