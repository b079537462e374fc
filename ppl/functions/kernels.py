"""Covariance functions of Gaussian processes: matrices between two sets of points.

Points are numbers, or rows of a matrix (the records with `_rows`, which stand in for the others by themselves). With
`r` the Euclidean distance over `length_scale`, the covariance is `amplitude^2` times a function of `r`; Rasmussen and
Williams, Gaussian Processes for Machine Learning (2006), section 4.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ppl.functions.base import FUNCTIONS, Function
from ppl.functions.broadcasting import align_batches

Profile = Callable[[Any, Any], Any]


def _squared_exponential(xp: Any, r: Any) -> Any:
    return xp.exp(-0.5 * r * r)


def _matern12(xp: Any, r: Any) -> Any:
    return xp.exp(-r)


def _matern32(xp: Any, r: Any) -> Any:
    scaled = math.sqrt(3.0) * r
    return (1.0 + scaled) * xp.exp(-scaled)


def _matern52(xp: Any, r: Any) -> Any:
    scaled = math.sqrt(5.0) * r
    return (1.0 + scaled + scaled * scaled / 3.0) * xp.exp(-scaled)


def line_distance(xp: Any, x: Any, y: Any) -> Any:
    """Distances of numbers: (…, m), (…, n) to (…, m, n)."""
    return xp.abs(x[..., :, None] - y[..., None, :])


def row_distance(xp: Any, x: Any, y: Any) -> Any:
    """Distances of rows: (…, m, d), (…, n, d) to (…, m, n). The slope is 0 where two points coincide."""
    difference = x[..., :, None, :] - y[..., None, :, :]
    squared = xp.sum(difference * difference, axis=-1)
    apart = squared > 0
    return xp.where(apart, xp.sqrt(xp.where(apart, squared, 1.0)), 0.0)


def _kernel(profile: Profile, distance: Callable[..., Any], rank: int) -> Callable[..., Any]:
    def implementation(xp: Any, x: Any, y: Any, amplitude: Any, length_scale: Any) -> Any:
        x, y = align_batches(xp, (x, y), (rank, rank))
        height, scale = (xp.reshape(each, (*xp.shape(each), 1, 1)) for each in (amplitude, length_scale))
        return height * height * profile(xp, distance(xp, x, y) / scale)

    return implementation


LINE = ((0.3, -1.2, 2.1), (0.8, 1.7))
ROWS = (((0.3, -1.2), (2.1, 0.4), (0.0, 0.7)), ((0.8, 1.7), (-0.4, 0.1)))
KERNELS: tuple[tuple[str, str, Profile], ...] = (
    ("squared_exponential", "exp(-r^2 / 2)", _squared_exponential),
    ("matern12", "exp(-r)", _matern12),
    ("matern32", "(1 + sqrt(3) r) exp(-sqrt(3) r)", _matern32),
    ("matern52", "(1 + sqrt(5) r + 5 r^2 / 3) exp(-sqrt(5) r)", _matern52),
)

for _name, _formula, _profile in KERNELS:
    for _own, _distance, _points, _signature, _sets in (
        (_name, line_distance, "numbers", "(m),(n),(),()->(m,n)", LINE),
        (f"{_name}_rows", row_distance, "rows", "(m,d),(n,d),(),()->(m,n)", ROWS),
    ):
        FUNCTIONS.register(
            Function(
                _own,
                ("x", "y", "amplitude", "length_scale"),
                _kernel(_profile, _distance, 1 if _points == "numbers" else 2),
                _signature,
                f"Covariances of two sets of {_points}: `amplitude^2 {_formula}` with `r = |x - y| / length_scale`.",
                example=(*_sets, 1.3, 0.7),
                alternatives=(f"{_name}_rows",) if _own == _name else (),
            )
        )
