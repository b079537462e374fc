"""What a fit was made of: its model, the data, and how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ppl.inference.result import Correction, InferenceResult, Rung, Verdict
from ppl.model.model import Model


class Bound(Protocol):
    """A model bound to data."""

    @property
    def model(self) -> Model: ...

    @property
    def data(self) -> dict[str, Any]: ...


class Bindable(Protocol):
    """The model as the user wrote it. `text` is None where it is a Python function."""

    @property
    def name(self) -> str: ...

    @property
    def text(self) -> str | None: ...

    def bind(self, data: Mapping[str, Any], base: int = 0) -> Bound: ...

    def bind_without_outcomes(self, data: Mapping[str, Any], base: int = 0) -> Bound: ...


@dataclass(frozen=True)
class Training:
    """The model bound to the data of the fit; gone once a fit was saved and loaded."""

    model: Model
    data: dict[str, Any]


@dataclass(frozen=True)
class Run:
    """How the fit came about. `elbo`, `elbo_mcse`, `log_evidence` are in nats, `history` is the ELBO along the way."""

    method: str
    guide: str
    elbo: float
    elbo_mcse: float
    log_evidence: float | None
    history: np.ndarray
    steps: int
    seconds: float
    converged: bool
    stopped: str
    seed: int
    draws: int
    verdict: Verdict
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    rungs: tuple[Rung, ...] = ()
    corrections: tuple[Correction, ...] = ()

    @classmethod
    def of(cls, result: InferenceResult) -> Run:
        return cls(
            method=result.method, guide=result.guide.vector.name, elbo=float(result.elbo),
            elbo_mcse=float(result.elbo_mcse),
            log_evidence=None if result.log_evidence is None else float(result.log_evidence),
            history=np.asarray(result.history, float), steps=int(result.steps), seconds=float(result.seconds),
            converged=bool(result.converged), stopped=result.stopped, seed=int(result.seed), draws=int(result.draws),
            verdict=result.verdict, notes=tuple(result.notes),
            warnings=tuple(record.render() for record in result.plan.warnings), rungs=tuple(result.rungs),
            corrections=tuple(result.corrections),
        )  # fmt: skip
