"""One ELBO gradient: staged, by plain autograd, and written by hand in NumPy.

    OMP_NUM_THREADS=1 python tests/benchmarks/gradient.py [--draws 10 100] [--seconds 2]

The ELBO is that of a mean-field Gaussian at fixed noise, its entropy in closed form: the value and the gradient in the
means and log standard deviations. The package's is made of its compiled log joint density; the densities by hand are in
`gradient_models.py`. Every candidate is checked against the one by hand (values may differ by a constant), and that one
against finite differences; then they are timed in turn, and the figures are medians.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import gradient_models

import ppl
from ppl.backends import get_backend
from ppl.backends.staging import STAGE_AFTER, value_and_grad
from ppl.compiler.programs import blocks
from ppl.guides.derived import derive_guide
from ppl.runtime import Executor

Gradient = Callable[[np.ndarray], tuple[float, np.ndarray]]
WARM = STAGE_AFTER + 3
"""Calls before the clock starts: the first few are eager, one is recorded, one checked."""


def by_hand(density: gradient_models.Density, noise: np.ndarray) -> Gradient:
    """Minus the ELBO from a density."""
    dim = noise.shape[1]

    def value_and_gradient(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        sd = np.exp(parameters[dim:])
        scaled = sd * noise
        value, slope = density(parameters[:dim] + scaled)
        at_mean, at_log_sd = slope.mean(axis=0), np.mean(slope * scaled, axis=0) + 1.0
        return -float(value.mean() + parameters[dim:].sum()), -np.concatenate([at_mean, at_log_sd])

    return value_and_gradient


def by_package(case: gradient_models.Case) -> tuple[Any, int]:
    """Minus the ELBO as a function of parameters and noise, and the dimension."""
    bound = ppl.parse(case.text).bind(case.data)
    plan = dataclasses.replace(bound.plan(), collapses={})  # every row counts here
    guide = derive_guide(plan, "mean_field")
    xp = get_backend().xp
    executor = Executor(plan, bound.data, xp)

    def loss(parameters: Any, noise: Any) -> Any:
        mean, log_sd = parameters[: guide.layout.size], parameters[guide.layout.size :]
        values = executor.log_joint(guide, mean + xp.exp(log_sd) * noise)
        return -(xp.mean(values) + xp.sum(log_sd))

    return loss, guide.layout.size


@contextlib.contextmanager
def without_blocks() -> Iterator[None]:
    """Plates are not worked through in blocks, whose programs are staged by themselves."""
    least, blocks.LEAST = blocks.LEAST, sys.maxsize
    yield
    blocks.LEAST = least


def check(functions: dict[str, Gradient], parameters: np.ndarray) -> None:
    """Refuses to time gradients that differ, or one by hand that is not the derivative of its value."""
    hand = functions["hand-written NumPy"]
    rng = np.random.default_rng(1)
    direction = rng.normal(size=parameters.shape)
    step = 1e-6
    difference = (hand(parameters + step * direction)[0] - hand(parameters - step * direction)[0]) / (2.0 * step)
    np.testing.assert_allclose(hand(parameters)[1] @ direction, difference, rtol=1e-5)
    away = parameters + 0.01 * direction
    for function in functions.values():
        for place in (parameters, away):
            np.testing.assert_allclose(function(place)[1], hand(place)[1], rtol=1e-8, atol=1e-8)
        change, expected = (f(away)[0] - f(parameters)[0] for f in (function, hand))
        np.testing.assert_allclose(change, expected, rtol=1e-6)


def measure(functions: dict[str, Gradient], parameters: np.ndarray, seconds: float) -> dict[str, float]:
    """Median seconds of one call of each."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["eager autograd"]) < 5:
        for name, function in functions.items():
            start = time.perf_counter()
            function(parameters)
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def run(name: str, draws: int, seconds: float) -> None:
    case = gradient_models.CASES[name]()
    loss, dim = by_package(case)
    with without_blocks():
        whole, _ = by_package(case)
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(draws, dim))
    parameters = np.concatenate([0.3 * rng.normal(size=dim), rng.normal(-2.0, 0.1, dim)])
    staged, eager = get_backend().value_and_grad(loss), value_and_grad(whole)
    functions: dict[str, Gradient] = {
        "hand-written NumPy": by_hand(case.by_hand, noise),
        "staged": lambda at: staged(at, noise),
        "eager autograd": lambda at: eager(at, noise),
    }
    with np.errstate(all="ignore"):
        for _ in range(WARM):
            functions["staged"](parameters)
        check(functions, parameters)
        medians = measure(functions, parameters, seconds)
    hand, staged_time, eager_time = medians.values()
    print(
        f"{name:50} {draws:4} draws: by hand {1e3 * hand:8.3f} ms, staged {1e3 * staged_time:8.3f} ms, eager "
        f"{1e3 * eager_time:8.2f} ms; staged / hand {staged_time / hand:5.2f}, eager / staged "
        f"{eager_time / staged_time:5.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    for name in gradient_models.CASES:
        for draws in options.draws:
            if draws <= 10 or name == "eight schools":
                run(name, draws, options.seconds)


if __name__ == "__main__":
    main()
