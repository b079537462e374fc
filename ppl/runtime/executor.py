"""The executor: a plan's programs bound to data and to an array name space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl.compiler import constrain_program, density_program
from ppl.constraints import SUPPORTS
from ppl.guides import Guide, Noise
from ppl.guides.derived import GAUSSIAN
from ppl.model.model import Param
from ppl.model.plan import Plan
from ppl.model.resolve import fixed_arguments
from ppl.numeric import NUMPY
from ppl.runtime.trace import CostValue, Record, Trace

Array = Any


class Executor:
    """Runs model and guide over `xp`. Whatever depends on data alone is computed once, here."""

    def __init__(self, plan: Plan, data: Mapping[str, Any], xp: Any) -> None:
        self.plan = plan
        self.data = data
        self.xp = xp
        with np.errstate(all="ignore"):
            prepare, self._density = density_program(plan).load(xp)
            self._density_constants = prepare(data)
            prepare, self._constrain = constrain_program(plan).load(xp)
            self._constrain_constants = prepare(data)
        self._points = tuple(_Point.of(param) for param in plan.model.params)

    def points(self, parameters: Mapping[str, Array]) -> dict[str, Array]:
        """Constrained values of the learned parameters from their unconstrained ones."""
        return {point.name: point.forward(self.xp, parameters[point.name]) for point in self._points}

    def constrain(
        self, unconstrained: Mapping[str, Array], points: Mapping[str, Array]
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Values and log |det J| of the continuous sites, each with a leading draw axis."""
        return self._constrain(unconstrained, points, self._constrain_constants)

    def density(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """Log density of every statement at constrained values with a leading draw axis."""
        return self._density(values, self._density_constants)

    def log_joint(self, guide: Guide, vector: Array, points: Mapping[str, Array] | None = None) -> Array:
        """log p(x, z) + log |det J| at rows of unconstrained vectors (draws, dim): (draws,).

        For plans without scored sites.
        """
        points = points or {}
        values, log_dets = self.constrain(guide.layout.unpack(self.xp, vector), points)
        terms = self.density({**values, **points})
        return sum(terms.values()) + sum(log_dets.values()) + 0.0 * self.xp.sum(vector, axis=1)

    def trace(self, guide: Guide, parameters: Array, noise: Noise) -> Trace:
        """Draw from the guide with this noise and score the draws under the model."""
        xp = self.xp
        parts = guide.parameters.unpack(xp, parameters)
        gaussian = parts[GAUSSIAN]
        vector = guide.gaussian.transform(xp, gaussian, noise.normal)
        points = self.points(parts)
        values, log_dets = self.constrain(guide.layout.unpack(xp, vector), points)
        values = {**values, **noise.discrete}
        terms = self.density({**values, **points})
        records = {
            name: Record(
                log_p=terms.get(name),
                value=values.get(name),
                log_det=log_dets.get(name),
                log_q=guide.factors[name].log_density(xp, parts[name], noise.discrete[name])
                if name in guide.factors
                else None,
            )
            for name in {**terms, **values}
        }
        return Trace(records, guide.gaussian.entropy(xp, gaussian), noise.draws)


def cost_values(plan: Plan, trace: Trace) -> list[CostValue]:
    """The terms of the ELBO: every log density with its Jacobian, and minus the log density of scored factors."""
    values = [
        CostValue(cost.name, trace.records[cost.name].log_p, cost.keep, cost.depends, cost.local) for cost in plan.costs
    ]
    for name, record in trace.records.items():
        if record.log_det is not None:
            values.append(CostValue(f"log_det {name}", record.log_det, (), frozenset({name}), {}))
        if record.log_q is not None:
            axes = plan.sites[name].axes
            values.append(CostValue(f"log_q {name}", -record.log_q, axes, frozenset({name}), {name: axes}))
    return values


@dataclass(frozen=True)
class _Point:
    """A learned parameter: its support's bijection with arguments already evaluated."""

    name: str
    support: str
    arguments: tuple[Any, ...]

    @classmethod
    def of(cls, param: Param) -> _Point:
        arguments = tuple(fixed_arguments(param.axes, len(param.dims), param.support.arguments))
        return cls(param.name, param.support.name, arguments)

    def forward(self, xp: Any, unconstrained: Array) -> Array:
        bijection = SUPPORTS[self.support].bijection
        assert bijection is not None
        return bijection.forward(xp, unconstrained, *self.arguments)


def initial_points(plan: Plan) -> dict[str, np.ndarray]:
    """Unconstrained starting values of the learned parameters."""
    starts = {}
    for param in plan.model.params:
        point = _Point.of(param)
        support = SUPPORTS[param.support.name]
        assert support.bijection is not None
        shape = support.unconstrained_shape(param.shape)
        value = np.broadcast_to(np.asarray(param.initial, float), param.shape)
        starts[param.name] = np.asarray(support.bijection.inverse(NUMPY, value, *point.arguments)).reshape(shape)
    assert all(math.isfinite(x) for start in starts.values() for x in start.ravel())
    return starts
