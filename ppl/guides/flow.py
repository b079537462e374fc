"""A normalising flow: a Gaussian bent by a few invertible layers, for posteriors that are curved or skewed.

Affine coupling layers (Dinh, Sohl-Dickstein and Bengio 2017, Density estimation using Real NVP), each of which moves
one half of the coordinates by small networks of the other; then the sinh-arcsinh of each coordinate (Jones and Pewsey
2009), which is what a single one needs; then a Gaussian's location and Cholesky factor. Every layer begins as the
identity, so that the flow begins as that Gaussian.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ppl.guides.base import GUIDES, HALF_LOG_TWO_PI, VectorGuide, check_family_options
from ppl.guides.full_rank import FULL_RANK
from ppl.model.plan import Plan

STRETCH = 2.0
"""The largest log scale of one coupling layer."""
BEND = 1.0
"""The largest log of a sinh-arcsinh's tail weight."""


@dataclass(frozen=True)
class Flow(VectorGuide):
    """`u = loc + L s(c_layers(… c_1(noise)))`.

    Parameters: for each coupling layer the weights of one hidden layer and of the outputs, with their biases; skew and
    tail of the sinh-arcsinh (dim each); loc and L as of the full-rank Gaussian.
    """

    layers: int = 4
    hidden: int = 16
    name: str = "flow"
    doc: str = "A normalising flow of `layers` coupling layers over a Gaussian, for curved and skewed posteriors."
    options: ClassVar[Mapping[str, int]] = {"layers": 4, "hidden": 16}
    most: ClassVar[int | None] = 500

    def __str__(self) -> str:
        return f"{self.name} ({self.layers} layers)"

    def for_plan(self, plan: Plan, **options: Any) -> Flow:
        check_family_options(self, options)
        return replace(self, **options)

    def size(self, dim: int) -> int:
        return self.bend_size(dim) + FULL_RANK.size(dim)

    def bend_size(self, dim: int) -> int:
        """Parameters in front of the Gaussian's."""
        return sum(_Coupling(dim, layer, self.hidden).size for layer in range(self.layers)) + 2 * dim

    def initial(self, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
        return self.near(mean, np.diag(sd))

    def near(self, mean: np.ndarray, factor: np.ndarray) -> np.ndarray:
        rng, dim = np.random.default_rng(0), len(mean)
        layers = [_Coupling(dim, layer, self.hidden).initial(rng) for layer in range(self.layers)]
        return np.concatenate([*layers, np.zeros(2 * dim), FULL_RANK.near(mean, factor)])

    def transform(self, xp: Any, parameters: Any, noise: Any) -> Any:
        bent, _ = self._bend(xp, parameters, noise)
        return FULL_RANK.transform(xp, parameters[self.bend_size(noise.shape[1]) :], bent)

    def log_density_at_noise(self, xp: Any, parameters: Any, noise: Any) -> Any:
        _, log_det = self._bend(xp, parameters, noise)
        return _normal(xp, noise) - log_det - self._log_det_factor(xp, parameters, noise.shape[1])

    def log_density(self, xp: Any, parameters: Any, draws: Any) -> Any:
        dim = draws.shape[1]
        loc, factor = FULL_RANK.unpack(xp, parameters[self.bend_size(dim) :])
        bent = xp.solve_triangular(factor, (draws - loc).T, True).T
        couplings, skew, tail = self._parts(xp, parameters, dim)
        noise, total = _unbend(xp, bent, skew, tail)
        for coupling, own in reversed(couplings):
            noise, log_det = coupling.inverse(xp, own, noise)
            total = total + log_det
        return _normal(xp, noise) - total - self._log_det_factor(xp, parameters, dim)

    def _bend(self, xp: Any, parameters: Any, noise: Any) -> tuple[Any, Any]:
        """What the layers make of noise, and the log determinant (draws,)."""
        couplings, skew, tail = self._parts(xp, parameters, noise.shape[1])
        total = 0.0
        for coupling, own in couplings:
            noise, log_det = coupling.forward(xp, own, noise)
            total = total + log_det
        inner = (xp.arcsinh(noise) + skew) * tail
        slope = xp.log(xp.cosh(inner)) + xp.log(tail) - 0.5 * xp.log(1.0 + noise * noise)
        return xp.sinh(inner), total + xp.sum(slope, axis=1)

    def _parts(self, xp: Any, parameters: Any, dim: int) -> tuple[list[tuple[_Coupling, Any]], Any, Any]:
        """The coupling layers with their parameters, and skew and tail weight of the last."""
        found, start = [], 0
        for layer in range(self.layers):
            coupling = _Coupling(dim, layer, self.hidden)
            found.append((coupling, parameters[start : start + coupling.size]))
            start += coupling.size
        tail = xp.exp(BEND * xp.tanh(parameters[start + dim : start + 2 * dim]))
        return found, parameters[start : start + dim], tail

    def _log_det_factor(self, xp: Any, parameters: Any, dim: int) -> Any:
        start = self.bend_size(dim) + dim
        return xp.sum(parameters[start : start + dim])


def _unbend(xp: Any, bent: Any, skew: Any, tail: Any) -> tuple[Any, Any]:
    """The argument of a sinh-arcsinh and the log determinant there (draws,)."""
    inner = xp.arcsinh(bent)
    before = inner / tail - skew
    slope = 0.5 * xp.log(1.0 + bent * bent) + xp.log(tail) - xp.log(xp.cosh(before))
    return xp.sinh(before), xp.sum(slope, axis=1)


def _normal(xp: Any, noise: Any) -> Any:
    return -0.5 * xp.sum(noise * noise, axis=1) - noise.shape[1] * HALF_LOG_TWO_PI


@dataclass(frozen=True)
class _Coupling:
    """One layer: coordinates of one parity are scaled and shifted by what the network makes of the others."""

    dim: int
    layer: int
    hidden: int

    @property
    def moved(self) -> np.ndarray:
        return np.arange(self.dim)[(1 + self.layer) % 2 :: 2]

    @property
    def read(self) -> np.ndarray:
        return np.arange(self.dim)[self.layer % 2 :: 2]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Hidden weights and biases, output weights and biases; the outputs are log scales, then shifts."""
        if not len(self.moved) or not len(self.read):
            return ()
        outputs = 2 * len(self.moved)
        return (len(self.read), self.hidden), (self.hidden,), (self.hidden, outputs), (outputs,)

    @property
    def size(self) -> int:
        return sum(int(np.prod(shape)) for shape in self.shapes)

    def initial(self, rng: np.random.Generator) -> np.ndarray:
        """Random hidden units and no output: the identity."""
        if not self.shapes:
            return np.zeros(0)
        weights, biases, *outputs = self.shapes
        hidden = [rng.standard_normal(weights) / np.sqrt(weights[0]), rng.standard_normal(biases)]
        return np.concatenate([part.ravel() for part in [*hidden, *map(np.zeros, outputs)]])

    def forward(self, xp: Any, parameters: Any, values: Any) -> tuple[Any, Any]:
        if not self.shapes:
            return values, 0.0
        log_scale, shift = self._network(xp, parameters, values[:, self.read])
        return self._joined(xp, values, values[:, self.moved] * xp.exp(log_scale) + shift), xp.sum(log_scale, axis=1)

    def inverse(self, xp: Any, parameters: Any, values: Any) -> tuple[Any, Any]:
        """The argument, and the log determinant of `forward` there."""
        if not self.shapes:
            return values, 0.0
        log_scale, shift = self._network(xp, parameters, values[:, self.read])
        moved = (values[:, self.moved] - shift) * xp.exp(-log_scale)
        return self._joined(xp, values, moved), xp.sum(log_scale, axis=1)

    def _network(self, xp: Any, parameters: Any, inputs: Any) -> tuple[Any, Any]:
        parts, start = [], 0
        for shape in self.shapes:
            stop = start + int(np.prod(shape))
            parts.append(xp.reshape(parameters[start:stop], shape))
            start = stop
        weights, biases, last_weights, last_biases = parts
        outputs = xp.tanh(inputs @ weights + biases) @ last_weights + last_biases
        count = len(self.moved)
        return STRETCH * xp.tanh(outputs[:, :count] / STRETCH), outputs[:, count:]

    def _joined(self, xp: Any, values: Any, moved: Any) -> Any:
        """Values with those at `moved` replaced."""
        both = xp.concatenate([values[:, self.read], moved], axis=1)
        return both[:, np.argsort(np.concatenate([self.read, self.moved]))]


GUIDES.register(Flow())
