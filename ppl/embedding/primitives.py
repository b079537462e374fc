"""What a decorated function says: `sample`, `plate`, `scope`, `deterministic`, `factor`, `param`, `net`, `predict`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any

import numpy as np

from ppl.axes import Axis
from ppl.constraints import SUPPORTS
from ppl.embedding.data import Absent
from ppl.embedding.operand import as_operand
from ppl.embedding.spans import caller_span, parts_of
from ppl.embedding.state import Tracing, tracing
from ppl.embedding.symbol import Symbol
from ppl.errors import ModelError
from ppl.model import DistributionUse, Note, SupportOf, construct
from ppl.model.expressions import Dim, Expr
from ppl.model.networks import HEADS, declare, unknown_activation
from ppl.model.notes import checked_note, misplaced
from ppl.model.placement import place
from ppl.model.ragged import Extent, extent
from ppl.model.resolve import evaluate
from ppl.model.streamed import reads_data_alone
from ppl.source import Span, nearest


def sample(
    name: str,
    distribution: DistributionUse,
    obs: Any = None,
    *,
    estimator: str | None = None,
    guide: str | Note | None = None,
    parameterisation: str | None = None,
    notes: Sequence[Note | str] = (),
) -> Symbol:
    """A random site: latent, or observed where `obs` is given.

    The symbol has the lengths of the enclosing plates, then the event's. `notes` are guide notes, by name
    (`"noncentered"`, `"point"`, …) or as `ppl.note("lowrank", 3)` where they have arguments; `estimator="score"`
    (`"pathwise"`, `"implicit"`, `"enumerate"`), `guide="gamma"` and `parameterisation="noncentered"` are short for
    these. Raises ModelError.
    """
    span = caller_span()
    state = tracing("sample", span)
    name = _claim(state, name, span)
    if not isinstance(distribution, DistributionUse):
        raise ModelError.of(
            "E303", _argument(span, 1, "distribution"), f"`{name}` needs a distribution, this is "
            f"of type {type(distribution).__name__}", "write e.g. ppl.Normal(0, 1)",
        )  # fmt: skip
    every = [*notes, *(short for short in (estimator, parameterisation) if short is not None)]
    if isinstance(guide, str):
        every.append(Note("guide", (guide,), span))
    marks = [checked_note(note, span, obs is not None) for note in every]
    if isinstance(guide, Note):
        marks.append(_placed(guide, name, obs is not None, tuple(state.plates)))
    observed = _observed(name, obs, span)
    plates = tuple(state.plates)
    return Symbol.of(
        state.builder.sample(name, distribution, plates, observed, span, marks, positional=True, present=state.guard)
    )


def _placed(guide: Note, name: str, observed: bool, plates: Sequence[Axis]) -> Note:
    """A computed guide at a site, its leading dimensions the plates around. Raises ModelError where it cannot be."""
    if observed:
        raise ModelError([misplaced("amortized", "an observed site", guide.span)])
    head, outputs = guide.arguments
    return replace(guide, arguments=(head, place(name, [(outputs, 1)], plates, guide.span)[0]))


def _observed(name: str, obs: Any, span: Span | None) -> Expr | None:
    """The observed value, in which NaN are missing; None for a latent site."""
    if obs is None or isinstance(obs, Absent):
        return None
    where = _argument(span, 2, "obs")
    value = as_operand(obs, where).whole()
    if not (value.type.static or reads_data_alone(value)):
        raise ModelError.of(
            "E114", where, "only data can be observed, this is random", f"to define `{name}`, use ppl.deterministic"
        )
    return replace(value, span=where)


def note(name: str, *arguments: Any) -> Note:
    """A guide note with its arguments, for `sample(…, notes=[…])`: `note("lowrank", 2)`."""
    return Note(name, arguments, caller_span())


def deterministic(name: str, value: Any) -> Symbol:
    """A named value computed from others; the fit reports it.

    Leading dimensions that fit the enclosing plates are theirs. Raises ModelError.
    """
    span = caller_span()
    state = tracing("deterministic", span)
    name = _claim(state, name, span)
    operand = as_operand(value, span).whole()
    plates, present = tuple(state.plates), state.guard
    return Symbol.of(state.builder.deterministic(name, operand, plates, span, positional=True, present=present))


def factor(name: str, value: Any) -> None:
    """Add `value` to the log density, once for each element of the enclosing plates."""
    span = caller_span()
    state = tracing("factor", span)
    name = _claim(state, name, span)
    term = replace(as_operand(value, span).whole(), span=_argument(span, 1, "value"))
    state.builder.factor(name, term, tuple(state.plates), span, positional=True, present=state.guard)


def param(name: str, initial: Any, support: str = "real", arguments: Sequence[Any] = ()) -> Symbol:
    """A point estimate learned with the guide, of the shape of `initial`.

    `support` is a registered support, `arguments` its arguments (`"interval"`, `(0, 1)`). Raises ModelError.
    """
    span = caller_span()
    state = tracing("param", span)
    name = _claim(state, name, span)
    _outside_plates(state, f"parameter `{name}`", span)
    if support not in SUPPORTS:
        near = nearest(support, SUPPORTS)
        raise ModelError.of(
            "E305", _argument(span, 2, "support"), f"no support `{support}`", f"did you mean `{near}`?" if near else ""
        )
    expressions = tuple(as_operand(argument, span).whole() for argument in arguments)
    start = np.array(initial, dtype=float)
    _check_initial(name, start, support, expressions, span)
    dims = tuple(Dim(size) for size in start.shape)
    value = start if start.ndim else start.item()
    return Symbol.of(state.builder.param(name, value, SupportOf(support, expressions), dims, span))


def _outside_plates(state: Tracing, what: str, span: Span | None) -> None:
    if state.plates:
        raise ModelError.of("E117", span, f"{what} inside plate `{state.plates[-1].name}`", "give it before the plate")


def net(name: str, sizes: Sequence[int], act: str = "relu", head: str = "") -> Callable[[Any], Any]:
    """A multilayer perceptron with these lengths of layers, inputs first; its weights are learned parameters.

    What is returned takes a vector, or a matrix whose rows are vectors, and gives the outputs of the last layer.
    `act` is the activation between layers. With a `head` it is an encoder, the last length being that of the latent
    (its number of states), and what it gives is a guide: `ppl.sample("z", …, guide=encoder(x))`. Raises ModelError.
    """
    span = caller_span()
    state = tracing("net", span)
    name = _claim(state, name, span)
    _outside_plates(state, f"network `{name}`", span)
    lengths = list(sizes) if isinstance(sizes, list | tuple) else []
    whole = all(isinstance(size, int | np.integer) and not isinstance(size, bool) and size > 0 for size in lengths)
    if len(lengths) < 2 or not whole:
        found = f"the layers of network `{name}` must be two or more positive whole numbers"
        raise ModelError.of("E318", _argument(span, 1, "sizes"), found, "as in [2, 10, 1]")
    problems = unknown_activation(act, _argument(span, 2, "act"))
    if problems:
        raise ModelError(problems)
    _claim_once(state, f"{name}.weight0", span)
    _check_head(head, _argument(span, 3, "head"))
    sized = [int(size) for size in lengths]
    if head:
        sized[-1] = HEADS[head](sized[-1])
    network = declare(state.builder, name, sized, act, head, span)

    def outputs(inputs: Any) -> Symbol | Note:
        here = caller_span()
        value = replace(as_operand(inputs, here).whole(), span=_argument(here, 0, "inputs"))
        found = Symbol.of(network.apply(value, here, encoding=bool(head)))
        return _amortised(found, head, here) if head else found

    return outputs


def amortized(outputs: Any, head: str = "gaussian") -> Note:
    """A guide whose parameters are computed: `ppl.sample("z", …, guide=ppl.amortized(f(x)))`.

    `outputs` are arrays of learned parameters and data, for each element of the plates a vector: of a latent of n
    numbers 2 n for the head "gaussian" (means, then log standard deviations of the unconstrained value) and
    n + n (n + 1) / 2 for "full_gaussian" (a Cholesky factor by rows); logits for "categorical" and "bernoulli". Raises
    ModelError.
    """
    span = caller_span()
    tracing("amortized", span)
    _check_head(head or " ", _argument(span, 1, "head"))
    return _amortised(outputs, head, span)


def _amortised(outputs: Any, head: str, span: Span | None) -> Note:
    return Note("amortized", (head, as_operand(outputs, span).whole()), span)


def _check_head(head: str, span: Span | None) -> None:
    if head and head not in HEADS:
        near = nearest(head, HEADS)
        raise ModelError.of(
            "E318",
            span,
            f"no head `{head.strip()}`",
            f"did you mean `{near}`?" if near else f"there are {', '.join(HEADS)}",
        )


@contextmanager
def _scoped(state: Tracing, name: str) -> Iterator[None]:
    state.scopes.append(name)
    try:
        yield
    finally:
        state.scopes.pop()


def scope(name: str) -> Any:
    """`with scope("beta"):` names given inside get `beta.` in front, those of plates too."""
    span = caller_span()
    state = tracing("scope", span)
    _check_name(name, span)
    return _scoped(state, name)


def _check_initial(name: str, start: np.ndarray, support: str, arguments: Sequence[Expr], span: Span | None) -> None:
    record = SUPPORTS[support]
    where = _argument(span, 1, "initial")
    if len(arguments) != len(record.arguments):
        wanted = ", ".join(record.arguments) or "no arguments"
        raise ModelError.of("E305", span, f"support `{support}` takes {wanted}, {len(arguments)} given")
    if record.discrete or start.ndim < record.event_rank or not all(a.type.static for a in arguments):
        raise ModelError.of("E305", where, f"`{name}` cannot be learned on support `{support}` from here")
    ends = [evaluate(argument).array for argument in arguments]
    if not np.all(record.contains(start, *ends)):
        raise ModelError.of("E305", where, f"the start of `{name}` must be {record.describe.format(*ends)}")


class plate:
    """`with plate(name, size) as n:` independent repetitions; `n` is the index, which runs over `start:start + size`.

    Inside, an array whose leading dimension has the plate's length stands for its elements, as does `x[n]`. The size
    may depend on the indices of outer plates, `lengths[s]`: arrays are then padded to the largest, with anything. With
    `subsample` each step of a fit sees so many random elements.
    """

    def __init__(self, name: str, size: int | Symbol, start: int = 0, subsample: int | None = None) -> None:
        self._span = caller_span()
        self._state = tracing("plate", self._span)
        _check_name(name, self._span)
        _check_whole(name, "start", start, self._span)
        self._name = self._state.scoped(name)
        self._extent = _plate_extent(name, size, int(start), self._span)
        if subsample is not None:
            _check_whole(name, "subsample", subsample, self._span)
        self._subsample = subsample

    def __enter__(self) -> Symbol:
        if any(axis.name == self._name for axis in self._state.plates):
            raise ModelError.of("E117", self._span, f"plate `{self._name}` is open already", "give it another name")
        axis = self._state.builder.axis(self._name, self._extent.size, self._extent.start, self._span)
        self._state.plates.append(axis)
        if self._subsample is not None:
            self._state.builder.subsample(axis, self._subsample, self._span)
        self._state.present.append(self._extent.present(axis))
        return Symbol.of(construct.axis_index(axis, self._span))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._state.plates.pop()
        self._state.present.pop()


def _plate_extent(name: str, size: Any, start: int, span: Span | None) -> Extent:
    """The range of a plate, whose size may be a whole number for each element of outer plates."""
    kind = size.type if isinstance(size, Symbol) else None
    if kind is None or not kind.static or not kind.axes or kind.dims:
        _check_whole(name, "size", size, span)
        return Extent(start, start + int(size))
    where = _argument(span, 1, "size")
    lengths = evaluate(size.expression).array
    if lengths.dtype.kind not in "iu" or np.any(lengths < 0):
        found = f"the size of plate `{name}` must be a whole number for each element, {lengths.min():g} among them"
        raise ModelError.of("E117", where, found)
    first = construct.constant(start)
    return extent(first, construct.call("add", [size.expression, first]) if start else size.expression, where)


def _check_whole(name: str, what: str, value: Any, span: Span | None) -> None:
    where = _argument(span, 1 if what == "size" else 2, what)
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        found = "a random value" if isinstance(value, Symbol) else f"of type {type(value).__name__}"
        raise ModelError.of("E117", where, f"the {what} of plate `{name}` is {found}", "a whole number is expected")
    if value < {"size": 0, "subsample": 1}.get(what, value):
        raise ModelError.of("E117", where, f"the {what} of plate `{name}` is {value}")


@contextmanager
def _predicting(state: Tracing) -> Iterator[None]:
    state.builder.in_predict = True
    try:
        yield
    finally:
        state.builder.in_predict = False


def predict() -> Any:
    """`with predict():` what stands inside runs once for each posterior draw and is not part of the log density."""
    span = caller_span()
    state = tracing("predict", span)
    if state.builder.in_predict or state.plates:
        raise ModelError.of("E117", span, "`ppl.predict` inside a plate or another `ppl.predict`", "put it last")
    return _predicting(state)


def _claim(state: Tracing, name: str, span: Span | None) -> str:
    """The name as the model has it. Names are identifiers, and each has one defining statement."""
    _check_name(name, span)
    name = state.scoped(name)
    _claim_once(state, name, span)
    return name


def _claim_once(state: Tracing, name: str, span: Span | None) -> None:
    for statement in (*state.builder.statements, *state.builder.predicted):
        if statement.name == name:
            line = f" at line {statement.span.line}" if statement.span is not None else ""
            raise ModelError.of(
                "E104", _argument(span, 0, "name"), f"already defined{line}", "a name has one defining statement"
            )


def _check_name(name: Any, span: Span | None) -> None:
    if not isinstance(name, str) or not name.isidentifier():
        raise ModelError.of(
            "E113", _argument(span, 0, "name"), f"{name!r} is not a name", "letters, digits and _ are expected"
        )


def _argument(span: Span | None, position: int, name: str) -> Span | None:
    """Where an argument of the call at `span` stands; the whole call where that cannot be told."""
    parts = parts_of(span)
    if parts is None:
        return span
    return parts.keyword(name) or (parts.operands[position] if position < len(parts.operands) else span)
