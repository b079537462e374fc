"""What one run of model and guide leaves behind: a record for each site, over all draws at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ppl.axes import Axis

Array = Any


@dataclass(frozen=True)
class Record:
    """One statement, or several that an elimination joins under its name.

    `log_p` is (draw, kept plates…), None for a joined one by itself; `value` is given where it is latent.
    Of a site with a factor of its own `log_q` is (draw, plates…) and `entropy`, in nats over all elements, None where
    it has no closed form. `log_det` is log |det J| of the bijection, (draw,), where the guide is over a coordinate.
    `log_p` is the expectation over the sites in `over`. Over the site itself it has the Jacobian; the entropy of a
    factor is then without the expected log density of the base measure, which the two share.
    """

    log_p: Array = None
    value: Array = None
    log_q: Array = None
    entropy: Array = None
    log_det: Array = None
    over: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Trace:
    """Records by statement name; log density (draw,) and entropy in nats (None: not closed) of the guide's block of
    continuous sites.

    `scored` is that log density as a function of the parameters alone that draws do not move with; None where there are
    none.
    """

    records: Mapping[str, Record]
    log_q: Array
    entropy: Array
    draws: int
    scored: Array = None


@dataclass(frozen=True)
class CostValue:
    """The value of one term of the log joint density, (draw, *axes), with what it depends on (see
    `ppl.model.plan.Cost`).
    """

    name: str
    value: Array
    axes: tuple[Axis, ...]
    depends: frozenset[str]
    local: Mapping[str, tuple[Axis, ...]]

    def per_draw(self, xp: Any) -> Array:
        """Summed over its plates: (draw,)."""
        positions = tuple(range(1, 1 + len(self.axes)))
        return xp.sum(self.value, axis=positions) if positions else self.value
