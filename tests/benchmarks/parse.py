"""Parsing, checking and formatting a model of a thousand lines.

    python tests/benchmarks/parse.py [--lines 1000] [--rounds 5]

The model is written by this script: blocks of data, priors, plates, comprehensions, defs and conditional
expressions, with names of their own, so that nothing is read twice. The figures are medians of processor times in a
warm process; the first check of a process also reads the tables of the parser. As a yardstick the same number of lines
of Python goes through `ast.parse` and `compile`.
"""

from __future__ import annotations

import argparse
import ast
import cProfile
import pstats
import statistics
import time
from collections.abc import Callable

from ppl.language import check, format_source, parse
from ppl.language.names import check_names
from ppl.language.order import check_order
from ppl.source import Source

BLOCK = """\
# block {i}
data N{i}, K{i}: int
data g{i}: index(K{i})[N{i}]
data x{i}, y{i}: real(lower=-10)[N{i}]
data Z{i}: real[N{i}, 3] missing
def f{i}(a, b) {{
  c = exp(-0.5 * ((a - b) / 2)^2)
  return c if c > 0.1 else 0.1
}}
mu{i} ~ normal(0, 10)
tau{i} ~ half_normal(1)
b{i}[d in 3] ~ normal(0, tau{i})
s{i} ~ truncated(student_t(3, 0, 2.5), lower=0)
alpha{i}[k in K{i}] ~ normal(mu{i} + f{i}(tau{i}, 1), tau{i})
plate n in N{i} {{
  eta = alpha{i}[g{i}[n]] + Z{i}[n] @ b{i} + sum([b{i}[d] * x{i}[n]^d for d in 3])
  y{i}[n] ~ normal(eta if x{i}[n] > 0 else -eta, s{i})
}}
factor pull{i} = -0.5 * (mu{i} - 1)^2
"""
PYTHON = "def f{i}(a, b):\n    c = exp(-0.5 * ((a - b) / 2) ** 2)\n    return c if c > 0.1 else 0.1\n"


def repeated(block: str, lines: int) -> str:
    """At least `lines` lines, cut behind the last whole block."""
    count = -(-lines // (block.count("\n") or 1))
    return "".join(block.format(i=i) for i in range(count))


def median(work: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="where the time of `check` goes")
    options = parser.parse_args()
    text, python = repeated(BLOCK, options.lines), repeated(PYTHON, options.lines)
    source = Source("long.ppl", text)
    start = time.process_time()
    program = check(source)
    first = time.process_time() - start
    steps: dict[str, Callable[[], object]] = {
        "parse": lambda: parse(source),
        "names": lambda: check_names(program),
        "order": lambda: check_order(program),
        "parse and check": lambda: check(source),
        "format": lambda: format_source(source),
        "Python's ast.parse": lambda: ast.parse(python),
        "Python's compile": lambda: compile(python, "long.py", "exec"),
    }
    lines = text.count("\n")
    print(f"{lines} lines, {len(text)} characters; the first check of the process {first:.2f} s\n")
    print("| step | seconds | ms a line |")
    print("| --- | ---: | ---: |")
    for name, work in steps.items():
        seconds = median(work, options.rounds)
        print(f"| {name} | {seconds:.3f} | {1000 * seconds / lines:.3f} |")
    if options.profile:
        profile = cProfile.Profile()
        profile.runcall(check, source)
        pstats.Stats(profile).sort_stats("cumulative").print_stats(35)


if __name__ == "__main__":
    main()
