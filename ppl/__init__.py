"""Probabilistic models in a small language or in Python, fitted by variational inference that says how far to trust it.

    model = ppl.load("model.ppl")          # or ppl.parse(text), or a function decorated with @ppl.model
    fit = model.fit(data)
    print(fit.summary(), fit.verdict)

In a decorated function: `sample`, `plate`, `scan`, `scope`, `deterministic`, `factor`, `param`, `net`, `predict`; a
constructor
for every distribution (`ppl.Normal`, `ppl.HalfCauchy`, …); NumPy's functions, and those of the language that NumPy
lacks (`ppl.expit`, …). Every name is imported when it is first used, so that `import ppl` costs next to nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppl.embedding import (  # noqa: F401
        amortized,
        censored,
        deterministic,
        factor,
        hurdle,
        mixture,
        net,
        note,
        ordered,
        param,
        plate,
        predict,
        sample,
        scan,
        scope,
        truncated,
        zero_inflated,
        zero_sum,
    )
    from ppl.errors import (  # noqa: F401
        DataError,
        InferenceError,
        InternalError,
        ModelError,
        PPLError,
        UncertainFitWarning,
    )
    from ppl.posterior import Fit  # noqa: F401
    from ppl.program import Program, load, load_fit, parse  # noqa: F401
    from ppl.streams import open_data  # noqa: F401

__version__ = "0.1.0"

_HOMES = {
    "DataError": "ppl.errors",
    "Fit": "ppl.posterior",
    "InferenceError": "ppl.errors",
    "InternalError": "ppl.errors",
    "ModelError": "ppl.errors",
    "PPLError": "ppl.errors",
    "Program": "ppl.program",
    "UncertainFitWarning": "ppl.errors",
    "amortized": "ppl.embedding",
    "censored": "ppl.embedding",
    "deterministic": "ppl.embedding",
    "factor": "ppl.embedding",
    "load": "ppl.program",
    "load_fit": "ppl.program",
    "hurdle": "ppl.embedding",
    "mixture": "ppl.embedding",
    "net": "ppl.embedding",
    "note": "ppl.embedding",
    "open_data": "ppl.streams",
    "ordered": "ppl.embedding",
    "param": "ppl.embedding",
    "parse": "ppl.program",
    "plate": "ppl.embedding",
    "predict": "ppl.embedding",
    "sample": "ppl.embedding",
    "scan": "ppl.embedding",
    "scope": "ppl.embedding",
    "truncated": "ppl.embedding",
    "zero_inflated": "ppl.embedding",
    "zero_sum": "ppl.embedding",
}
"""Where the public names live that stand in no registry."""


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return _public_names()
    value = getattr(import_module(_HOMES[name]), name) if name in _HOMES else _registered(name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return _public_names()


def _registered(name: str) -> Any:
    """A distribution's constructor or a function of the language. Raises AttributeError, with the nearest name."""
    if name.startswith("_") or find_spec(f"ppl.{name}") is not None:
        raise AttributeError(f"module 'ppl' has no attribute {name!r}")
    from ppl.embedding import constructor, function

    if name[:1].isupper():
        return constructor(name)
    if name in _functions():
        return function(name)
    from ppl.source import nearest

    near = nearest(name, _public_names())
    raise AttributeError(f"module 'ppl' has no attribute {name!r}" + (f"; did you mean {near!r}?" if near else ""))


def _functions() -> list[str]:
    """The functions of the language that go by no NumPy name."""
    import numpy

    from ppl.functions import FUNCTIONS

    theirs = set(dir(numpy)) | {
        name for name, record in FUNCTIONS.items() if any(each.startswith("numpy.") for each in record.numpy)
    }
    return [name for name in FUNCTIONS if name not in theirs]


def _public_names() -> list[str]:
    from ppl.embedding import constructor_names

    return sorted({"__version__", "model", *_HOMES, *constructor_names(), *_functions()})


class _Package(ModuleType):
    """The package, with `ppl.model` the decorator although a folder of that name holds the model's classes.

    Importing a submodule binds it as an attribute of its package; the property keeps that from hiding the decorator.
    """

    @property
    def model(self) -> Any:
        from ppl.program import model

        return model

    @model.setter
    def model(self, submodule: ModuleType) -> None:
        pass


sys.modules[__name__].__class__ = _Package
