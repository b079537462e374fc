"""Signs of a posterior that cannot be normalised."""

from __future__ import annotations

import numpy as np

from ppl.compiler.parameterise import adaptable
from ppl.guides import Guide
from ppl.inference.deterministic.mode import Mode
from ppl.inference.target import Target

FAR = 200.0
"""Unconstrained coordinates of this size, e^200 on a log scale, are no part of a proper posterior."""
FURTHER = 1000.0
"""Sds, told from the curvature at the mode, that no posterior reaches to."""
WIDEST = 1e9
"""The largest sd that a curvature is believed to tell."""
FALL = 3.0
"""Nats that a log density falls at least on the way out there."""


def runaways(guide: Guide, mean: np.ndarray, sd: np.ndarray) -> tuple[str, ...]:
    """Faults: sites that a posterior with these moments (dim,) in unconstrained space takes to the end of their range.

    Where nothing holds a scale, its posterior reaches to the largest and smallest numbers of the computer, and is flat
    and well behaved up to there.
    """
    faults = []
    for entry in guide.layout.entries:
        reach = np.abs(mean) + 2.0 * sd
        inside = bool(np.all(reach[entry.start : entry.stop] < FAR))
        if not inside and guide.plan.sites[entry.name].bijection != "real":
            faults.append(_fault(entry.name))
    return tuple(faults)


def boundless(target: Target, mode: Mode) -> tuple[str, ...]:
    """Faults: sites that can go to the end of their range, from a mode on, without the log density falling.

    Real ones are asked only where their prior is improper. A group of effects may go there together with its scale, in
    a spike that carries no weight: models with such groups are not asked. Nor is a point where the clock cut short the
    search for a mode: it is higher elsewhere.
    """
    plan, layout = target.guide.plan, target.guide.layout
    if adaptable(plan) or (target.clock.cut and not mode.found):
        return ()
    far = np.zeros(target.dim)
    sds = np.minimum(np.nan_to_num(np.sqrt(np.sum(mode.whitening.factor**2, axis=1)), nan=WIDEST), WIDEST)
    improper = {site.name for site in plan.continuous if not site.distribution.family.proper}
    for entry in layout.entries:
        mine = slice(entry.start, entry.stop)
        if plan.sites[entry.name].bijection != "real":
            far[mine] = FAR
        elif entry.name in improper:
            far[mine] = FURTHER * sds[mine]
    if not far.any():
        return ()
    rows = mode.vector + np.concatenate([np.diag(far), -np.diag(far)])[np.tile(far > 0, 2)]
    try:
        values = target.log_density(rows)
    except np.linalg.LinAlgError:  # a matrix that is singular out there
        return ()
    with np.errstate(invalid="ignore"):
        level = (values > mode.value - FALL).reshape(2, -1).any(axis=0)
    names = [entry.name for entry in layout.entries for _ in range(entry.start, entry.stop)]
    found = [_fault(names[k]) for k in np.flatnonzero(far)[level]]
    return tuple(dict.fromkeys([*found, *runaways(target.guide, mode.vector, np.zeros(target.dim))]))


def _fault(name: str) -> str:
    return f"`{name}` runs off to the end of its range: its posterior is improper, or nearly so"
