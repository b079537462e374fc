"""One ELBO gradient of eight schools, beside the same gradient written by hand in NumPy.

    python tests/benchmarks/gradient.py [--repeats 2000]

The hand-written one differentiates the mean-field ELBO of the centred model: for `draws` standard normal draws it gives
the value and the gradient in the twenty parameters (mean and log sd of mu, log tau and the eight effects). Each
candidate is checked against finite differences and against the hand-written value, then all are timed in turn; the
figures are medians. The package's gradient is what its stochastic fit calls at each step.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import ppl
from ppl.backends import get_backend
from ppl.guides import Noise
from ppl.inference.choose import choose_guide
from ppl.inference.stochastic import ElboObjective
from ppl.runtime import Executor

EXAMPLES = Path(__file__).parents[2] / "examples"
DATA = json.loads((EXAMPLES / "eight_schools.json").read_text(encoding="utf-8"))
Y, SIGMA = np.array(DATA["y"], float), np.array(DATA["sigma"], float)
SIZE = 2 + len(Y)
LOG_ROOT_TWO_PI = 0.5 * math.log(2 * math.pi)
CONSTANT = (
    SIZE * (0.5 + LOG_ROOT_TWO_PI)  # entropy
    - (1 + 2 * len(Y)) * LOG_ROOT_TWO_PI
    - math.log(5)
    - np.log(SIGMA).sum()
    + math.log(2 / (5 * math.pi))
)
DRAWS = (1, 10, 100)

Gradient = Callable[[np.ndarray], tuple[float, np.ndarray]]


def by_hand(noise: np.ndarray) -> Gradient:
    """ELBO and gradient at fixed noise, of shape (draws, 10); parameters are the ten means, then the ten log sds."""

    def value_and_gradient(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        log_sd = parameters[SIZE:]
        scaled = np.exp(log_sd) * noise
        z = parameters[:SIZE] + scaled
        mu, log_tau, theta = z[:, 0], z[:, 1], z[:, 2:]
        tau = np.exp(log_tau)
        standard = (theta - mu[:, None]) / tau[:, None]
        residual = (Y - theta) / SIGMA
        heavy = (tau / 5) ** 2
        square = np.sum(standard * standard, axis=1)
        log_density = (
            -0.5 * square
            - 0.5 * np.sum(residual * residual, axis=1)
            - 0.5 * (mu / 5) ** 2
            - np.log1p(heavy)
            + (1 - len(Y)) * log_tau
        )
        slope = np.empty_like(z)
        pull = standard / tau[:, None]
        slope[:, 0] = np.sum(pull, axis=1) - mu / 25
        slope[:, 1] = square - 2 * heavy / (1 + heavy) + (1 - len(Y))
        slope[:, 2:] = residual / SIGMA - pull
        value = CONSTANT + np.sum(log_sd) + np.mean(log_density)
        return value, np.concatenate([np.mean(slope, axis=0), 1 + np.mean(slope * scaled, axis=0)])

    return value_and_gradient


def by_package() -> Callable[[np.ndarray], Gradient]:
    """The package's gradient at a given noise: its compiled model, mean-field guide and objective."""
    bound = ppl.load(EXAMPLES / "eight_schools.ppl").bind(DATA)
    backend = get_backend()
    guide = choose_guide(bound.plan(), "mean_field")
    objective = ElboObjective(Executor(bound.plan(), bound.data, backend.xp), guide, backend)

    def at(noise: np.ndarray) -> Gradient:
        fixed = Noise(noise, {})

        def value_and_gradient(parameters: np.ndarray) -> tuple[float, np.ndarray]:
            loss, gradient = objective.value_and_grad(parameters, fixed)
            return -loss, -gradient

        return value_and_gradient

    return at


def candidates(noise: np.ndarray, package: Callable[[np.ndarray], Gradient]) -> dict[str, Gradient]:
    """What is timed."""
    return {"hand-written NumPy": by_hand(noise), "ppl": package(noise)}


def check(function: Gradient, parameters: np.ndarray) -> None:
    """Refuses to time a gradient that is not the derivative of its value."""
    step = 1e-5
    differences = [
        (function(parameters + e)[0] - function(parameters - e)[0]) / (2 * step) for e in step * np.eye(len(parameters))
    ]
    np.testing.assert_allclose(function(parameters)[1], differences, rtol=1e-6, atol=1e-6)


def measure(functions: dict[str, Gradient], parameters: np.ndarray, repeats: int) -> dict[str, float]:
    """Median seconds of one call of each."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            function(parameters)
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=2000)
    repeats = parser.parse_args().repeats
    rng = np.random.default_rng(0)
    parameters = np.concatenate([rng.normal(size=SIZE), rng.normal(-1, 0.1, SIZE)])
    package = by_package()
    for draws in DRAWS:
        functions = candidates(rng.normal(size=(draws, SIZE)), package)
        for function in functions.values():
            check(function, parameters)
            np.testing.assert_allclose(function(parameters)[0], functions["hand-written NumPy"](parameters)[0])
        medians = measure(functions, parameters, repeats)
        reference = medians["hand-written NumPy"]
        for name, median in medians.items():
            print(f"{draws:4} draws  {name:20} {1e6 * median:8.1f} us  {median / reference:5.2f} x hand-written")


if __name__ == "__main__":
    main()
