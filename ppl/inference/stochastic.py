"""Stochastic fitting: Adam on Monte Carlo gradients, with falling steps and iterate averaging."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from ppl.backends import Backend
from ppl.estimators.score_function import surrogate
from ppl.guides import Guide, Noise
from ppl.inference.progress import Progress
from ppl.objectives.elbo import elbo_draws
from ppl.runtime import Executor, cost_values


class ElboObjective:
    """Minus the ELBO of a guide as a function of its flat parameters, with the gradient each site's estimator gives."""

    def __init__(self, executor: Executor, guide: Guide, backend: Backend) -> None:
        self._executor = executor
        self._guide = guide
        self._scored = {site.name: site.axes for site in guide.plan.scored}
        self._differentiated = backend.value_and_grad(self._loss, arrays=not self._scored)

    def value_and_grad(self, parameters: np.ndarray, noise: Noise) -> tuple[float, np.ndarray]:
        """The loss and its gradient in the parameters, at this noise."""
        return self._differentiated(parameters, noise if self._scored else noise.normal)

    def _loss(self, parameters: np.ndarray, noise: Noise | np.ndarray) -> float:
        xp = self._executor.xp
        trace = self._executor.trace(self._guide, parameters, noise if isinstance(noise, Noise) else Noise(noise, {}))
        costs = cost_values(self._guide.plan, trace)
        elbo = xp.mean(elbo_draws(xp, trace, costs))
        if self._scored:
            score = surrogate(xp, trace, costs, self._scored)
            elbo = elbo + score - xp.stop_gradient(score)
        return -elbo


@dataclass(frozen=True)
class AdamOptions:
    """`steps` at most, `gradient_draws` Monte Carlo draws a step, first step size `rate`, `window` of the
    convergence check.
    """

    steps: int = 20_000
    gradient_draws: int = 10
    rate: float = 0.05
    window: int = 500


@dataclass(frozen=True)
class Optimised:
    """Averaged parameters, the ELBO of every step, and why the run stopped."""

    parameters: np.ndarray
    history: np.ndarray
    converged: bool
    stopped: str


class Adam:
    """Kingma and Ba (2015)."""

    def __init__(self, size: int) -> None:
        self._first = np.zeros(size)
        self._second = np.zeros(size)
        self._count = 0

    def step(self, gradient: np.ndarray, rate: float) -> np.ndarray:
        """The change of the parameters."""
        self._count += 1
        self._first += 0.1 * (gradient - self._first)
        self._second += 0.001 * (gradient * gradient - self._second)
        first = self._first / (1.0 - 0.9**self._count)
        second = self._second / (1.0 - 0.999**self._count)
        return -rate * first / (np.sqrt(second) + 1e-8)


def minimise(
    objective: ElboObjective,
    guide: Guide,
    start: np.ndarray,
    rng: np.random.Generator,
    options: AdamOptions,
    progress: Progress,
) -> Optimised:
    """Adam in stages: a window of steps at one rate; when two windows no longer differ the rate is divided by 4.

    It has converged when the rate has come down to a thousandth and the windows still agree to within
    their Monte Carlo error. The parameters returned are the mean over the last windows. Ctrl-C returns what there is.
    """
    parameters, adam = start.copy(), Adam(len(start))
    progress.expect(options.steps)
    history: list[float] = []
    means: list[np.ndarray] = []
    total, rate, last = np.zeros_like(start), options.rate, -np.inf
    stopped, converged = f"reached {options.steps} steps", False
    began = time.perf_counter()
    try:
        for step in range(1, options.steps + 1):
            noise = guide.noise(rng, parameters, options.gradient_draws)
            with np.errstate(all="ignore"):
                loss, gradient = objective.value_and_grad(parameters, noise)
            history.append(-float(loss))
            if np.isfinite(loss) and np.all(np.isfinite(gradient)):
                parameters = parameters + adam.step(_clipped(gradient), rate)
            total += parameters
            progress.update(step, history[-1])
            if step % options.window:
                continue
            means, total = [*means[-3:], total / options.window], np.zeros_like(start)
            recent = np.array(history[-options.window :])
            recent = recent[np.isfinite(recent)]
            if not len(recent):
                stopped = "every recent ELBO was infinite"
                break
            error = recent.std() / np.sqrt(len(recent))
            gained = recent.mean() - last > 2.0 * error
            last = recent.mean() if gained else max(last, recent.mean())
            if gained:
                continue
            if rate <= options.rate / 200:
                stopped, converged = "the ELBO no longer rises and the step is small", True
                break
            rate /= 4.0
            means = []
    except KeyboardInterrupt:
        stopped = f"interrupted after {len(history)} steps, {time.perf_counter() - began:.1f} s"
    averaged = np.mean(means, axis=0) if converged and means else parameters
    return Optimised(averaged, np.array(history), converged, stopped)


def _clipped(gradient: np.ndarray, limit: float = 1e4) -> np.ndarray:
    norm = float(np.linalg.norm(gradient))
    return gradient * (limit / norm) if norm > limit else gradient
