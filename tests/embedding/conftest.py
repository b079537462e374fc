"""Symbols whose numbers are known, so that what is built from them can be computed and compared with NumPy."""

from collections.abc import Callable

import numpy as np
import pytest

from ppl.embedding import Symbol
from ppl.model import construct
from ppl.model.resolve import evaluate


@pytest.fixture
def known() -> Callable[..., Symbol]:
    """Makes a symbol of an array, its value kept in the expression."""

    def make(array: object, name: str = "x") -> Symbol:
        return Symbol.of(construct.data(name, np.asarray(array)))

    return make


@pytest.fixture
def value() -> Callable[[Symbol], np.ndarray]:
    """The numbers of a symbol made from known ones."""
    return lambda symbol: evaluate(symbol.expression).array
