"""The executor: a plan's programs bound to data and to an array name space."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl.compiler import constrain_program, density_program, encoder_program
from ppl.compiler.programs.arrays import ArrayProgram
from ppl.constraints import SUPPORTS
from ppl.guides import Guide, Noise
from ppl.guides.derived import GAUSSIAN
from ppl.model.model import Param
from ppl.model.plan import Plan
from ppl.model.resolve import fixed_arguments
from ppl.numeric import NUMPY
from ppl.runtime.expected import Expectations
from ppl.runtime.trace import CostValue, Record, Trace

Array = Any


class Executor:
    """Runs model and guide over `xp`. Whatever depends on data alone is computed once, here.

    Of the sites in `free` the degree of centring is handed in with the points; see `constrain_program`. The
    `log_joint_programs` are the generated ones, of the density and of the bijections.
    """

    def __init__(self, plan: Plan, data: Mapping[str, Any], xp: Any, free: Collection[str] = ()) -> None:
        self.plan = plan
        self.data = data
        self.xp = xp
        with np.errstate(all="ignore"):
            self.log_joint_programs = (density_program(plan), constrain_program(plan, free))
            prepare, self._density = self.log_joint_programs[0].load(xp)
            self._density_constants = prepare(data)
            prepare, self._constrain = self.log_joint_programs[1].load(xp)
            self._constrain_constants = prepare(data)
        self._programs: dict[str, tuple[Any, Any]] = {}
        self._expectations = Expectations(plan, xp, self._program)
        self._points = tuple(_Point.of(param) for param in plan.model.params)

    def points(self, parameters: Mapping[str, Array]) -> dict[str, Array]:
        """Constrained values of the learned parameters from their unconstrained ones."""
        return {point.name: point.forward(self.xp, parameters[point.name]) for point in self._points}

    def constrain(
        self, unconstrained: Mapping[str, Array], given: Mapping[str, Array]
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Values and log |det J| of the sites with a bijection, each with a leading draw axis.

        `given` has the learned parameters and the values of all other sites that have a factor.
        """
        return self._constrain(unconstrained, given, self._constrain_constants)

    def density(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """Log density of every statement at constrained values with a leading draw axis."""
        return self._density(values, self._density_constants)

    def log_joint(self, guide: Guide, vector: Array, points: Mapping[str, Array] | None = None) -> Array:
        """log p(x, z) + log |det J| at rows of unconstrained vectors (draws, dim): (draws,).

        For plans without scored sites.
        """
        return self._log_joint(guide.layout.unpack(self.xp, vector), points or {}) + 0.0 * self.xp.sum(vector, axis=1)

    def log_joint_along(self, guide: Guide, places: np.ndarray) -> Callable[[Array, Array], Array]:
        """The same as a function of the coordinates at `places`, in increasing order, and of the others."""

        def log_joint(moved: Array, others: Array) -> Array:
            coordinates = guide.layout.unpack_apart(self.xp, places, moved, others)
            return self._log_joint(coordinates, {}) + 0.0 * (self.xp.sum(moved, axis=1) + self.xp.sum(others, axis=1))

        return log_joint

    def _log_joint(self, coordinates: Mapping[str, Array], points: Mapping[str, Array]) -> Array:
        values, log_dets = self.constrain(coordinates, points)
        terms = self.density({**values, **points})
        return sum(terms.values()) + sum(log_dets.values())

    def encode(self, points: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs of the encoders, at learned parameters and the positions of plates that are seen in parts."""
        if not any(site.amortised for site in self.plan.sites.values()):
            return {}
        run, constants = self._program("encoders", lambda: encoder_program(self.plan))
        return run(points, constants)

    def factor_parameters(
        self, guide: Guide, parts: Mapping[str, Array], batch: Mapping[str, np.ndarray]
    ) -> dict[str, dict[str, Array]]:
        """Parameters of each factor's distribution, from the unpacked parameters of the guide."""
        encoded = self.encode({**self.points(parts), **batch})
        return guide.factor_parameters(self.xp, parts, batch, encoded)

    def noise(
        self,
        guide: Guide,
        rng: np.random.Generator,
        parameters: np.ndarray,
        draws: int,
        batch: Mapping[str, np.ndarray] | None = None,
    ) -> Noise:
        """Fresh noise for a guide; over NumPy."""
        own = {} if guide.free else self.factor_parameters(guide, guide.parameters.unpack(np, parameters), batch or {})
        return guide.noise(rng, draws, own, batch)

    def prepare(self, guide: Guide) -> None:
        """Make the programs of expected terms now: what they make of the data must not be part of a compiled step."""
        self._expectations.prepare(guide)

    def trace(
        self,
        guide: Guide,
        parameters: Array,
        noise: Noise,
        path: Array | None = None,
        held: bool = False,
        closed: bool = False,
    ) -> Trace:
        """Draw from the guide with this noise and score the draws under the model.

        `path` (draws,) multiplies the derivatives that run through the draws; `held` takes the guide's densities at
        parameters that are held constant; `closed` takes expected log priors in closed form where there is one, and
        expected log likelihoods over linear predictors.
        """
        xp = self.xp
        made = self._draw(guide, parameters, noise, path)
        points, own, drawn, values, block, vector = (
            made.points, made.own, made.drawn, made.values, made.block, made.vector
        )  # fmt: skip
        predicted = guide.predicted if closed else {}
        terms = self._expectations.rest(guide, values) if predicted else self.density(values)
        block, scored = self._scored(guide, block, vector)
        if held:
            log_q = guide.vector.log_density(xp, xp.stop_gradient(block), vector)
        elif path is not None:
            log_q = guide.vector.log_density(xp, block, vector)
        else:
            log_q = guide.vector.log_density_at_noise(xp, block, noise.normal)
        records = {
            name: Record(
                log_p=terms.get(name),
                value=None if name in points else values.get(name),
                log_det=made.log_dets.get(name),
                log_q=self._log_q(guide, name, own, drawn, held),
                entropy=self._entropy(guide, name, own),
            )
            for name in {**terms, **values}
        }
        if closed and guide.closed:
            records |= self._expectations.priors(guide, block, own, values, records)
        if predicted:
            records |= self._expectations.likelihoods(guide, block, values)
        return Trace(records, log_q, guide.vector.entropy(xp, block), noise.draws, scored)

    def _scored(self, guide: Guide, block: Array, vector: Array) -> tuple[Array, Array]:
        """The block's parameters with those held that draws do not move with, and its log density as theirs alone."""
        xp, count = self.xp, guide.vector.scored
        if not count:
            return block, None
        still, moving = block[:count], block[count:]
        own = xp.concatenate([still, xp.stop_gradient(moving)])
        scored = guide.vector.log_density(xp, own, xp.stop_gradient(vector))
        return xp.concatenate([xp.stop_gradient(still), moving]), scored

    def _program(self, key: str, make: Callable[[], ArrayProgram]) -> tuple[Any, Any]:
        """A program made when it is first needed, and what it has made of the data."""
        if key not in self._programs:
            prepare, run = make().load(self.xp)
            with np.errstate(all="ignore"):
                self._programs[key] = run, prepare(self.data)
        return self._programs[key]

    def values(self, guide: Guide, parameters: Array, noise: Noise) -> dict[str, Array]:
        """Draws of the latents from the guide, without their density."""
        made = self._draw(guide, parameters, noise, None)
        return {site.name: made.values[site.name] for site in (*self.plan.continuous, *self.plan.factored)}

    def _draw(self, guide: Guide, parameters: Array, noise: Noise, path: Array | None) -> _Drawn:
        xp = self.xp
        parts = guide.parameters.unpack(xp, parameters)
        points = {**self.points(parts), **noise.batch}
        own = self.factor_parameters(guide, parts, noise.batch)
        vector = self._along(path, guide.vector.transform(xp, parts[GAUSSIAN], noise.normal))
        drawn = {
            name: self._along(path, factor.value(xp, own[name], noise.factors[name]))
            for name, factor in guide.factors.items()
        }
        given = {**points, **{name: drawn[name] for name, factor in guide.factors.items() if not factor.coordinate}}
        values, log_dets = self.constrain({**drawn, **guide.layout.unpack(xp, vector)}, given)
        return _Drawn(points, own, drawn, {**given, **values}, log_dets, parts[GAUSSIAN], vector)

    def _along(self, path: Array | None, value: Array) -> Array:
        """A draw (draws, …) whose derivatives are multiplied by `path` (draws,)."""
        if path is None:
            return value
        return self.xp.scale_gradient(value, self.xp.reshape(path, (-1,) + (1,) * (len(self.xp.shape(value)) - 1)))

    def _log_q(
        self,
        guide: Guide,
        name: str,
        parameters: Mapping[str, Mapping[str, Array]],
        drawn: Mapping[str, Array],
        held: bool,
    ) -> Array:
        """Log density of a factor at its draws; of a scored one always as a function of its parameters."""
        if name not in guide.factors:
            return None
        factor, given = guide.factors[name], parameters[name]
        if held and factor.estimator != "score":
            given = {key: self.xp.stop_gradient(value) for key, value in given.items()}
        return factor.log_density(self.xp, given, drawn[name])

    def _entropy(self, guide: Guide, name: str, parameters: Mapping[str, Mapping[str, Array]]) -> Array:
        """Of a factor in closed form. Not of a scored one: there -log q stays in the reward, which it makes steadier
        the nearer the factor comes to the posterior.
        """
        if name not in guide.factors or guide.factors[name].estimator == "score":
            return None
        return guide.factors[name].entropy(self.xp, parameters[name])


@dataclass(frozen=True)
class _Drawn:
    """Draws of a guide: learned parameters and positions, the factors' parameters and draws, all values with their
    Jacobians, the Gaussian's parameters and its draws.
    """

    points: Mapping[str, Array]
    own: Mapping[str, Mapping[str, Array]]
    drawn: Mapping[str, Array]
    values: Mapping[str, Array]
    log_dets: Mapping[str, Array]
    block: Array
    vector: Array


def model_costs(plan: Plan, trace: Trace) -> list[CostValue]:
    """The terms of the log joint density of the coordinates: every log density, and the Jacobian of every bijection."""
    values = []
    for cost in plan.costs:
        record = trace.records[cost.name]
        value = _scaled(record.log_p, plan.scale(cost.axes))
        values.append(CostValue(cost.name, value, cost.keep, cost.depends - record.over, cost.local))
    for name, record in trace.records.items():
        if record.log_det is not None:
            depends = plan.carried.get(name, frozenset()) | {name}
            value = _scaled(record.log_det, plan.scale(plan.sites[name].axes))
            values.append(CostValue(f"log_det {name}", value, (), depends, {}))
    return values


def guide_costs(plan: Plan, trace: Trace, closed: bool) -> list[CostValue]:
    """Log density of each factor at its draws; where `closed`, only of those whose entropy has no closed form."""
    values = []
    for name, record in trace.records.items():
        if record.log_q is not None and not (closed and record.entropy is not None):
            axes = plan.sites[name].axes
            value = _scaled(record.log_q, plan.scale(axes))
            values.append(CostValue(f"log_q {name}", value, axes, frozenset({name}), {name: axes}))
    return values


def closed_entropy(plan: Plan, trace: Trace) -> Array:
    """The sum of the entropies that have a closed form, in nats."""
    parts = [
        _scaled(record.entropy, plan.scale(plan.sites[name].axes))
        for name, record in trace.records.items()
        if record.entropy is not None
    ]
    return sum(parts) + (trace.entropy if trace.entropy is not None else 0.0)


def _scaled(value: Array, scale: float) -> Array:
    return value if scale == 1.0 else scale * value


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
