"""Optimisers: how a gradient becomes a step, written over an array name space so that a backend may compile it.

Parameters without a gradient, those of elements that a step does not see, are left alone with their running means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

Array = Any
Moments = tuple[Array, ...]


class State(NamedTuple):
    """Parameters, running means of an optimiser, each of the same shape, and how often each parameter was moved."""

    parameters: Array
    moments: Moments
    count: Array


Rule = Callable[[Any, Moments, Array, Array], tuple[Array, Moments]]
"""`rule(xp, moments, gradient, count) -> (direction, moments)`: the parameters go down the direction."""
Step = Callable[[Any, State, Array, Array, Array], State]
"""`step(xp, state, value, gradient, rate)` is the state after it."""


@dataclass(frozen=True)
class Optimiser:
    """A rule with the number of running means it keeps, and its step size where none is asked for."""

    name: str
    doc: str
    kept: int
    rate: float
    rule: Rule

    def start(self, parameters: np.ndarray) -> State:
        """The state before the first step."""
        zeros = np.zeros(len(parameters))
        return State(parameters, (zeros,) * self.kept, zeros)

    def step(self, clip: float) -> Step:
        """The step, with gradients longer than `clip` cut to that length; what is not finite is passed over."""

        def stepped(xp: Any, state: State, value: Array, gradient: Array, rate: Array) -> State:
            norm = xp.sqrt(xp.sum(gradient * gradient))
            gradient = gradient * (clip / xp.maximum(norm, clip))
            usable = xp.isfinite(value) & xp.all(xp.isfinite(gradient))
            moved = usable & (gradient != 0.0)
            count = xp.where(moved, state.count + 1.0, state.count)
            direction, moments = self.rule(xp, state.moments, gradient, xp.maximum(count, 1.0))
            kept = tuple(xp.where(moved, new, old) for new, old in zip(moments, state.moments, strict=True))
            return State(xp.where(moved, state.parameters - rate * direction, state.parameters), kept, count)

        return stepped


def _adam(xp: Any, moments: Moments, gradient: Array, count: Array) -> tuple[Array, Moments]:
    first, second = moments
    first = first + 0.1 * (gradient - first)
    second = second + 0.001 * (gradient * gradient - second)
    scaled = (first / (1.0 - 0.9**count)) / (xp.sqrt(second / (1.0 - 0.999**count)) + 1e-8)
    return scaled, (first, second)


def _adagrad(xp: Any, moments: Moments, gradient: Array, count: Array) -> tuple[Array, Moments]:
    (total,) = moments
    total = total + gradient * gradient
    return gradient / (xp.sqrt(total) + 1e-8), (total,)


def _rmsprop(xp: Any, moments: Moments, gradient: Array, count: Array) -> tuple[Array, Moments]:
    (square,) = moments
    square = square + 0.01 * (gradient * gradient - square)
    return gradient / (xp.sqrt(square / (1.0 - 0.99**count)) + 1e-8), (square,)


def _sgd(xp: Any, moments: Moments, gradient: Array, count: Array) -> tuple[Array, Moments]:
    (velocity,) = moments
    velocity = 0.9 * velocity + gradient
    return velocity, (velocity,)


OPTIMISERS = {
    optimiser.name: optimiser
    for optimiser in (
        Optimiser("adam", "Running means of gradient and square (Kingma and Ba 2015).", 2, 0.05, _adam),
        Optimiser("adagrad", "By the root of the sum of all squares (Duchi et al. 2011).", 1, 0.2, _adagrad),
        Optimiser("rmsprop", "By the root of a running mean of squares (Tieleman and Hinton 2012).", 1, 0.02, _rmsprop),
        Optimiser("sgd", "The gradient itself, with momentum 0.9; its step size depends on the model.", 1, 0.001, _sgd),
    )
}
LBFGS = "lbfgs"
LBFGS_DOC = "Quasi-Newton on fixed draws, for models without @minibatch and without scored sites."
