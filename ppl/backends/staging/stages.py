"""When a function is recorded: after a few calls with the same shapes; and what is done if it cannot be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ppl.backends.staging.emit import Staged, emitted
from ppl.backends.staging.lower import Lowering
from ppl.backends.staging.optimise import optimised
from ppl.backends.staging.recording import Arrays, NotRecordable, record, value_and_grad

STAGE_AFTER = 6
"""Calls with arguments of the same shapes after which recording pays: it costs about as much as a few of them."""


def staged_program(function: Arrays, arguments: tuple[np.ndarray, ...], alone: bool = False) -> Staged:
    """The program of `function`, for arguments of these shapes and types; `alone` is for `Lowering`.

    Raises NotRecordable.
    """
    tape = record(function, arguments)
    return emitted(Lowering(optimised(tape), len(arguments), alone).listing, len(tape.calls))


def staged_value_and_grad(
    function: Callable[..., Any], kept: dict[tuple[Any, ...], Staged] | None = None
) -> StagedFunction:
    """`value_and_grad` of a function of arrays that is replayed once it has been called often with the same shapes."""
    return StagedFunction(value_and_grad(function), kept=kept)


class StagedFunction:
    """A function of arrays that gives several, called eagerly at first; one stage for each signature of its arguments.

    Arrays of whole numbers are arguments like any other; whatever else the function reads must stay as it is. It is
    recorded at the `after`-th call, or its program is taken from those `kept` by signature, to which it is added
    otherwise. With `alone` replays are for callers that are threads; see `Lowering`.
    """

    def __init__(
        self,
        eager: Arrays,
        alone: bool = False,
        after: int = STAGE_AFTER,
        kept: dict[tuple[Any, ...], Staged] | None = None,
    ) -> None:
        self._eager = eager
        self._alone = alone
        self._after = after
        self._kept = {} if kept is None else kept
        self.stages: dict[tuple[Any, ...], Stage] = {}

    def __call__(self, *arguments: np.ndarray) -> tuple[Any, ...]:
        signature = signature_of(arguments)
        stage = self.stages.get(signature)
        if stage is None:
            stage = self.stages[signature] = Stage(self._eager, self._alone, self._after, self._kept.get(signature))
        if stage.checked:
            return stage(*arguments)
        outcome = stage(*arguments)
        if stage.program is not None:
            self._kept[signature] = stage.program
        elif stage.refused:
            self._kept.pop(signature, None)
        return outcome

    def is_staged(self, *arguments: np.ndarray) -> bool:
        """Calls with such arguments are replayed, which several threads may do at once."""
        stage = self.stages.get(signature_of(arguments))
        return stage is not None and stage.checked


def signature_of(arguments: tuple[np.ndarray, ...]) -> tuple[Any, ...]:
    """Shapes and types."""
    return tuple((np.shape(argument), np.asarray(argument).dtype.char) for argument in arguments)


class Stage:
    """One signature's way from eager calls over a recorded and a checked one to plain replay.

    `refused` says why it stays eager, where it does. A `known` program spares the recording, but not the check.
    """

    def __init__(
        self, eager: Arrays, alone: bool = False, after: int = STAGE_AFTER, known: Staged | None = None
    ) -> None:
        self._eager = eager
        self._alone = alone
        self._after = after
        self._known = known
        self._calls = 0
        self.program: Staged | None = None
        self.checked = False
        self.refused: str | None = None

    def __call__(self, *arguments: np.ndarray) -> tuple[Any, ...]:
        if self.checked:
            assert self.program is not None
            found: tuple[Any, ...] = self.program.run(*arguments)
            return found
        self._calls += 1
        if self.program is not None:
            return self._compare(arguments)
        outcome = self._eager(*arguments)
        if self._calls == self._after:
            try:
                self.program = self._known or staged_program(self._eager, arguments, self._alone)
            except NotRecordable as error:
                self.refused = str(error)
        return outcome

    def _compare(self, arguments: tuple[np.ndarray, ...]) -> tuple[Any, ...]:
        """An eager run; the program is kept only if it gives the same."""
        assert self.program is not None
        outcome = self._eager(*arguments)
        if agree(outcome, self.program.run(*arguments)):
            self.checked = True
        else:
            self.program, self.refused = None, "its first replay differs from an eager run"
        return outcome


def agree(values: Sequence[Any], others: Sequence[Any]) -> bool:
    """But for rounding: sums may have lost some digits, and all of them where terms cancel."""
    lost = rounding(values)
    return all(
        np.shape(value) == np.shape(other)
        and np.allclose(value, other, rtol=1e-7, atol=1e-9 * _largest(value) + lost, equal_nan=True)
        for value, other in zip(values, others, strict=True)
    )


def rounding(values: Sequence[Any]) -> float:
    """What may be left where terms of the size of the largest of these cancel."""
    return 1e-13 * max(1.0, *map(_largest, values))


def _largest(value: Any) -> float:
    return float(np.abs(np.asarray(value)[np.isfinite(value)]).max(initial=0.0))
