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

    `log_p` is (draw, kept plates…), None for a joined one by itself; `value` is given where it is latent, `log_q`
    (draw, plates…) where scored.

    `log_det` is log |det J| of the bijection, (draw,), for sites that live in the Gaussian block.
    """

    log_p: Array = None
    value: Array = None
    log_q: Array = None
    log_det: Array = None


@dataclass(frozen=True)
class Trace:
    """Records by statement name, and the entropy of the Gaussian block in nats."""

    records: Mapping[str, Record]
    entropy: Array
    draws: int


@dataclass(frozen=True)
class CostValue:
    """The value of one ELBO term, (draw, *axes), with what it depends on (see `ppl.model.plan.Cost`)."""

    name: str
    value: Array
    axes: tuple[Axis, ...]
    depends: frozenset[str]
    local: Mapping[str, tuple[Axis, ...]]
