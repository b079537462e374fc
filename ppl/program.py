"""The model as a user holds it: one object whichever door it came through, with everything it can do."""

from __future__ import annotations

import inspect
import pathlib
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ppl.errors import DataError, Diagnostic, InferenceError, UncertainFitWarning
from ppl.model.model import Model
from ppl.source import Source

if TYPE_CHECKING:
    import networkx

    from ppl.guides import Guide
    from ppl.language import syntax
    from ppl.model.plan import Plan
    from ppl.posterior import Fit
    from ppl.posterior.calibration import Calibration


class Door(Protocol):
    """Where a model comes from. `bind` checks data and gives the model with every shape known, and its arrays.

    Where `absent`, outcomes may be missing from the data: their sites are then latent. Where `afresh`, so are those
    that the model looks back on, if it can tell them from other data.
    """

    @property
    def name(self) -> str: ...

    @property
    def text(self) -> str | None:
        """The model's text, None where it is a Python function."""
        ...

    def inputs(self) -> frozenset[str]:
        """The names that data may have."""
        ...

    def bind(
        self, data: Mapping[str, Any], base: int, absent: bool = False, afresh: bool = False
    ) -> tuple[Model, dict[str, Any]]: ...


@dataclass(frozen=True)
class BoundModel:
    """A model bound to data: the statements with static shapes, and the arrays they read."""

    model: Model
    data: dict[str, Any]
    warnings: tuple[Diagnostic, ...] = ()

    def plan(self) -> Plan:
        from ppl.compiler import compile_model

        return compile_model(self.model).warned(self.warnings)

    def __str__(self) -> str:
        from ppl.model.text import model_text

        return model_text(self.model)


class Program:
    """A probabilistic model. Make one with `ppl.load`, `ppl.parse` or `@ppl.model`.

    `data` is a mapping from names to numbers and arrays everywhere below. `base=1` says that integer index data count
    from 1. All methods raise `ModelError` or `DataError` with every problem located.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        self.name = door.name

    def __repr__(self) -> str:
        return f"<ppl model {self.name}>"

    @property
    def text(self) -> str | None:
        """The model's text, None where it is a Python function."""
        return self._door.text

    def bind(self, data: Mapping[str, Any], base: int = 0) -> BoundModel:
        """Check names, types, shapes and bounds of the data; report all errors at once."""
        check_mapping(data)
        if base not in (0, 1):
            raise DataError.of("E502", None, f"base is {base}", "indices count from 0 or from 1")
        model, arrays = self._door.bind(data, base, False)
        return BoundModel(model, arrays, _latents_in(model, data))

    def bind_without_outcomes(self, data: Mapping[str, Any], base: int = 0) -> BoundModel:
        """As `bind`, but observed data may be missing: what is missing is then drawn, not conditioned on."""
        check_mapping(data)
        return BoundModel(*self._door.bind(data, base, True))

    def graph(self, data: Mapping[str, Any], base: int = 0) -> networkx.DiGraph:
        """The dependency graph of the sites; see `ppl.model.graph`."""
        from ppl.model.graph import dependency_graph

        return dependency_graph(self.bind(data, base).model)

    def explain(
        self,
        data: Mapping[str, Any],
        base: int = 0,
        guide: str = "auto",
        code: bool = False,
        measure: bool = False,
        method: str = "auto",
    ) -> str:
        """The plan as a table: site, plates, treatment, estimator, reason; what else was possible; the derived guide.

        With `method="cavi"` which sites have closed-form updates, and why others have none. With `code` the generated
        density function and the staged program of its gradient too; with `measure` the gradient variance and the cost
        of every estimator that each site could have, measured.
        """
        from ppl.inference.explain import explain

        bound = self.bind(data, base)
        measured, staged = (bound.data if wanted else None for wanted in (measure, code))
        return explain(bound.plan(), guide, code, data=measured, method=method, staged=staged)

    def guide(self, data: Mapping[str, Any], name: str = "auto", base: int = 0) -> Guide:
        """The derived guide; print it to see its layout."""
        from ppl.inference.choose import choose_guide

        return choose_guide(self.bind(data, base).plan(), name)

    def log_density(
        self, values: Mapping[str, Any], data: Mapping[str, Any], by_site: bool = False, base: int = 0
    ) -> float | dict[str, float]:
        """Exact log p(data, values) at constrained values of the latents (and learned parameters), in nats.

        Each value has the site's shape: plates, then event. With `by_site` one number for each statement.
        """
        from ppl.inference.evaluate import log_density
        from ppl.model.streamed import require_whole

        bound = self.bind(data, base)
        require_whole(bound.model, "log_density")
        terms = log_density(bound.model, bound.data, values)
        return terms if by_site else float(sum(terms.values()))

    def simulate(
        self, data: Mapping[str, Any], draws: int = 100, seed: int = 0, base: int = 0
    ) -> dict[str, np.ndarray]:
        """Prior predictive draws of every site, (draws, *shape); observed values in `data` are not used."""
        from ppl.inference.evaluate import simulate
        from ppl.model.streamed import require_whole

        check_mapping(data)
        at_least(1, draws=draws)
        model, arrays = self._door.bind(data, base, absent=True, afresh=True)
        require_whole(model, "simulate")
        return simulate(model, arrays, draws, seed)

    def fit(
        self,
        data: Mapping[str, Any],
        guide: str = "auto",
        method: str = "auto",
        seed: int = 0,
        base: int = 0,
        draws: int = 4000,
        progress: bool | None = None,
        backend: str = "autograd",
        **options: Any,
    ) -> Fit:
        """Fit the model and return a `Fit` with draws, summaries and a verdict.

        `guide` is one of `ppl list guides` or "auto"; `method` is "auto", "deterministic", "adam", "hamiltonian",
        "cavi" or "svi" (closed-form updates), or another of the reference. `progress` shows a bar on standard error
        (default: only on a terminal). `backend` is "autograd", or "jax" where JAX is installed. `options` go to the
        method, but for `seconds`, after which a fit ends with the best it has.
        """
        from ppl.inference.fit import run_fit
        from ppl.posterior import Fit

        at_least(1, draws=draws)
        at_least(0, seed=seed)
        bound = self.bind(data, base)
        result = run_fit(bound.plan(), bound.data, guide, method, seed, draws, progress, options, backend)
        if result.verdict.level != "trusted":
            warnings.warn(str(result.verdict), UncertainFitWarning, stacklevel=2)
        return Fit.of(self, result.plan.model, bound.data, result, base)

    def calibrate(
        self,
        data: Mapping[str, Any],
        n: int = 100,
        seed: int = 0,
        base: int = 0,
        draws: int = 200,
        names: str | Iterable[str] | None = None,
        cores: int = 1,
        progress: bool | None = None,
        guide: str = "auto",
        method: str = "auto",
        backend: str = "autograd",
        **options: Any,
    ) -> Calibration:
        """Simulation-based calibration: `n` times draw unknowns and outcomes from the prior, fit, rank the truth.

        Of the outcomes in `data` only the shape is used and which are missing; they may be left out. The truth is
        ranked among `draws` independent draws of each posterior, for every unknown, or for those in `names` (which may
        be deterministic), and for log likelihood and log density. `guide`, `method`, `backend` and `options` are those
        of `fit`. Equal seeds give equal results, however many processes (`cores`) share the work.
        """
        from ppl.posterior.calibration import Request, calibrate

        check_mapping(data)
        at_least(1, n=n, draws=draws, cores=cores)
        at_least(0, seed=seed)
        chosen = (names,) if isinstance(names, str) else None if names is None else tuple(names)
        request = Request(self._door, data, base, seed, draws, chosen, guide, method, options, backend)
        return calibrate(request, n, cores, progress)


def check_mapping(data: object) -> None:
    """Raises DataError where data are not names with values."""
    if not isinstance(data, Mapping):
        found = f"data are {type(data).__name__!r}"
        raise DataError.of("E521", None, found, 'expected a mapping from names to values: {"N": 3, "y": [1.2, 0.4, 2]}')


def at_least(least: int, **arguments: int) -> None:
    """Raises InferenceError for an argument below `least`."""
    for name, value in arguments.items():
        if value < least:
            raise InferenceError.of("E705", None, f"{name} is {value}", f"at least {least} is needed")


def _latents_in(model: Model, data: Mapping[str, Any]) -> tuple[Diagnostic, ...]:
    """Warnings for unknowns that have a value in the data, which nothing looks at."""
    return tuple(
        Diagnostic(
            "W507", site.span, f"`{site.name}` is unknown here, though the data have a value for it",
            "to observe it, declare it as `data`, or pass `obs=` in Python",
        )
        for site in model.latents
        if site.name in data
    )  # fmt: skip


@dataclass(frozen=True)
class TextDoor:
    """Door 1: a text in the modeling language."""

    name: str
    source: Source
    tree: syntax.Program

    @property
    def text(self) -> str:
        return self.source.text

    def inputs(self) -> frozenset[str]:
        from ppl.language.binding import declarations

        return frozenset(declarations(self.tree))

    def bind(
        self, data: Mapping[str, Any], base: int, absent: bool = False, afresh: bool = False
    ) -> tuple[Model, dict[str, Any]]:
        from ppl.language.lowering import bind_program

        return bind_program(self.tree, data, base, absent, afresh)


@dataclass(frozen=True)
class FunctionDoor:
    """Door 2: a decorated function."""

    name: str
    function: Callable[..., Any]
    text: None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Sent to another process by name: the decorator has put the program in the function's place."""
        return _door_of, (self.function.__module__, self.function.__qualname__)

    def inputs(self) -> frozenset[str]:
        return frozenset(inspect.signature(self.function).parameters)

    def bind(
        self, data: Mapping[str, Any], base: int, absent: bool = False, afresh: bool = False
    ) -> tuple[Model, dict[str, Any]]:
        from ppl.embedding import trace

        return trace(self.function, data, base=base, absent=absent)


def _door_of(module: str, name: str) -> Door:
    """The door of the program that a module has under this name."""
    found = attrgetter(name)(import_module(module))
    return found._door


def load(path: str | pathlib.Path) -> Program:
    """Read a model from a `.ppl` file. Raises ModelError with all syntax errors."""
    path = pathlib.Path(path)
    return parse(path.read_text(encoding="utf-8"), str(path))


def parse(text: str, name: str = "model") -> Program:
    """A model from a text. Raises ModelError with all syntax and name errors."""
    from ppl.language import check

    source = Source(name, text)
    return Program(TextDoor(pathlib.Path(name).stem, source, check(source)))


def load_fit(path: str | pathlib.Path, model: Program | None = None) -> Fit:
    """Read a fit written by `Fit.save`.

    A fit of a Python function needs that function as `model` to predict. Raises InferenceError where the file is not
    a saved fit.
    """
    from ppl.posterior import read_fit

    return read_fit(pathlib.Path(path), model, parse)


def model(function: Callable[..., Any]) -> Program:
    """Decorator: make a model of a function that calls `ppl.sample`."""
    return Program(FunctionDoor(function.__name__, function))
