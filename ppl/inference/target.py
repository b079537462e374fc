"""The log joint density over unconstrained vectors, many rows at once, with gradients and Hessians."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.backends import Backend, Rows
from ppl.backends.reuse import part_of, programs_for
from ppl.compiler import quantities_program
from ppl.guides import Guide
from ppl.inference.clock import ENDLESS, Clock
from ppl.inference.in_blocks import InBlocks, power_of_two
from ppl.inference.work import GRADIENT, density_seconds, stepwise, widest_array
from ppl.model.model import Deterministic
from ppl.model.plan import Plan
from ppl.model.streamed import statements_reading
from ppl.numeric import NUMPY
from ppl.runtime import Executor

_CHUNK = 4_000_000
"""Numbers in the largest temporary array of one evaluation, roughly."""


class Target:
    """`log p(x, z(u)) + log |det dz/du|` for a plan without scored sites and learned points.

    Vectors have length `dim`; every method takes rows (draws, dim) and works through them in blocks. `evaluations`
    counts gradients, `densities` log densities; `seconds` is about what one log density takes, and where it is
    `stepwise` far more at unlikely places. What searches it in steps ends with `clock`.
    """

    def __init__(
        self, plan: Plan, data: Mapping[str, Any], guide: Guide, backend: Backend, clock: Clock = ENDLESS
    ) -> None:
        self.guide = guide
        self.clock = clock
        self.dim = guide.layout.size
        self.evaluations = 0
        self.densities = 0
        self.seconds = density_seconds(plan)
        self.stepwise = stepwise(plan)
        self._plain = Executor(plan, data, NUMPY)
        differentiable = Executor(plan, data, backend.xp)
        widest = max(self.dim, widest_array(plan, backend.xp.in_blocks))
        most = power_of_two(_CHUNK // widest)
        kept = programs_for(backend.name, differentiable.log_joint_programs, data, guide.layout, most)

        def rows_along(places: np.ndarray) -> Rows:
            own = part_of(kept, "along", tuple(map(int, places)))
            moving = places, np.setdiff1d(np.arange(guide.layout.size), places)
            return backend.rows(differentiable.log_joint_along(guide, places), most, own, moving=moving)

        self._log_joint = InBlocks(
            backend.rows(lambda rows: differentiable.log_joint(guide, rows), most, kept), most, self.dim
        )
        self._rows_along = rows_along

    @property
    def spent(self) -> float:
        """Estimated seconds of arithmetic so far."""
        return (GRADIENT * self.evaluations + self.densities) * self.seconds

    def log_density(self, rows: np.ndarray) -> np.ndarray:
        """(draws,)."""
        self.densities += len(rows)
        return self._log_joint.values(rows)

    def gradient(self, rows: np.ndarray) -> np.ndarray:
        """(draws, dim)."""
        self.evaluations += len(rows)
        return self._log_joint.gradients(rows)

    def value_and_gradient(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log densities (draws,) and gradients (draws, dim)."""
        self.evaluations += len(rows)
        self.densities += len(rows) if len(rows) > 1 else 0
        return self._log_joint.values_and_gradients(rows)

    def hessians(self, rows: np.ndarray, step: np.ndarray) -> np.ndarray:
        """(draws, dim, dim), symmetric.

        Exact; central differences of gradients along each axis scaled by `step` (dim,) where `inexact` says why.
        """
        products = self.products(rows, np.eye(self.dim)[:, None, :])
        hessian = self._differences(rows, step) if products is None else np.moveaxis(products, 0, 1)
        return 0.5 * (hessian + np.swapaxes(hessian, 1, 2))

    @property
    def inexact(self) -> str:
        """Why there are no exact second derivatives; empty where there are, as far as is known."""
        return self._log_joint.rows.inexact

    def products(self, rows: np.ndarray, vectors: np.ndarray) -> np.ndarray | None:
        """Exact products of each row's Hessian with vectors (directions, draws or 1, dim): (directions, draws, dim).

        None where a part of the density has no second derivatives.
        """
        found = self._log_joint.products(rows, vectors)
        self.evaluations += 0 if found is None else len(rows) * len(vectors)
        return found

    def along(self, places: np.ndarray) -> Along:
        """The same density as a function of the coordinates at `places`, in increasing order."""
        return Along(self, InBlocks(self._rows_along(places), self._log_joint.most, len(places)))

    def curved(self, rows: np.ndarray, vectors: np.ndarray, step: np.ndarray) -> np.ndarray:
        """`products`, or where there are none central differences along each vector, about `step` (dim,) long."""
        found = self.products(rows, vectors)
        if found is not None:
            return found
        lengths = np.sqrt(np.mean((vectors / step) ** 2, axis=2, keepdims=True))
        moves = vectors / np.maximum(lengths, 1e-300)
        after, before = (
            self.gradient((rows + sign * moves).reshape(-1, self.dim)).reshape(len(vectors), len(rows), self.dim)
            for sign in (1.0, -1.0)
        )
        return 0.5 * lengths * (after - before)

    def _differences(self, rows: np.ndarray, step: np.ndarray) -> np.ndarray:
        draws, dim = rows.shape
        offsets = np.concatenate([np.diag(step), -np.diag(step)])
        points = (rows[:, None, :] + offsets[None]).reshape(-1, dim)
        gradients = self.gradient(points).reshape(draws, 2, dim, dim)
        return (gradients[:, 0] - gradients[:, 1]) / (2.0 * step[None, :, None])

    def values(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Constrained values of every latent at each row: (draws, *shape)."""
        unpacked = self.guide.layout.unpack(np, rows)
        with np.errstate(all="ignore"):
            values = self._plain.constrain(unpacked, {})[0]
        return {name: np.broadcast_to(v, (len(rows), *np.shape(v)[1:])) for name, v in values.items()}

    def quantities(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Deterministic statements, those of the predict block too, at values of the latents: (draws, *shape).

        Without those that read anything else that is random, or rows that are not at hand, and those too large for so
        many draws.
        """
        model = self.guide.plan.model
        reading = statements_reading(model, frozenset())
        count = len(next(iter(values.values())))
        wanted = [
            statement.name
            for statement in (*model.statements, *model.predicted)
            if isinstance(statement, Deterministic)
            and statement.name not in reading
            and model.random_ancestors(statement) <= values.keys()
            and math.prod(statement.shape) * count <= _CHUNK
        ]
        if not wanted:
            return {}
        prepare, run = quantities_program(model, wanted).load(NUMPY)
        with np.errstate(all="ignore"):
            found = run(np.random.default_rng(0), count, values, prepare(self._plain.data))
        shapes = {name: (count, *np.shape(found[name])[1:]) for name in wanted}
        return {name: np.broadcast_to(np.asarray(found[name], float), shapes[name]) for name in wanted}


class Along:
    """A target as a function of some of its coordinates, at values of the others that stay.

    It takes whole rows (draws, dim); gradients, vectors and products are of `width` coordinates. What follows from the
    others alone, such as the Cholesky factor of a kernel, is not differentiated.
    """

    def __init__(self, target: Target, log_joint: InBlocks) -> None:
        self._target = target
        self._log_joint = log_joint

    def gradient(self, rows: np.ndarray) -> np.ndarray:
        """(draws, width)."""
        self._target.evaluations += len(rows)
        return self._log_joint.gradients(rows)

    def products(self, rows: np.ndarray, vectors: np.ndarray) -> np.ndarray | None:
        """As `Target.products`, of vectors (directions, draws or 1, width)."""
        found = self._log_joint.products(rows, vectors)
        self._target.evaluations += 0 if found is None else len(rows) * len(vectors)
        return found
