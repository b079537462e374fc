"""`Symbol`: what a decorated function computes with in place of numbers; it behaves like a NumPy array."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from ppl.embedding import operations
from ppl.embedding.concrete import needs_number
from ppl.embedding.indexing import take
from ppl.embedding.numpy_table import call_numpy, call_ufunc
from ppl.embedding.operand import Operand, as_operand
from ppl.embedding.spans import caller_span
from ppl.errors import ModelError
from ppl.model.expressions import Expr, Type
from ppl.model.resolve import evaluate
from ppl.model.text import expression_text
from ppl.source import Span

_ARRAY_ATTRIBUTES = frozenset(name for name in dir(np.ndarray) if not name.startswith("_"))


def wrap(result: Any) -> Any:
    """An operand as a symbol; plain values stay as they are."""
    return Symbol(result) if isinstance(result, Operand) else result


def _binary(name: str) -> Callable[[Symbol, Any], Symbol]:
    def operator(self: Symbol, other: Any) -> Symbol:
        span = caller_span()
        return Symbol(operations.apply(name, [self.operand, as_operand(other, span)], span))

    return operator


def _reflected(name: str) -> Callable[[Symbol, Any], Symbol]:
    def operator(self: Symbol, other: Any) -> Symbol:
        span = caller_span()
        return Symbol(operations.apply(name, [as_operand(other, span), self.operand], span))

    return operator


def _unary(name: str) -> Callable[[Symbol], Symbol]:
    def operator(self: Symbol) -> Symbol:
        return Symbol(operations.apply(name, [self.operand], caller_span()))

    return operator


def _through(function: Callable[..., Any]) -> Callable[..., Any]:
    """A method that does what a NumPy function does."""

    def method(self: Symbol, *arguments: Any, **keywords: Any) -> Any:
        return wrap(call_numpy(function, (self, *arguments), keywords))

    method.__name__ = function.__name__
    method.__doc__ = f"As `np.{function.__name__}`."
    return method


class Symbol:
    """An array whose numbers are not known yet: a random site, or what is computed from one.

    Arithmetic, comparisons, indexing and NumPy's functions give further symbols. Operations are elementwise on equal
    shapes or with scalars; only a dimension inserted with `None` stretches. Asking for a plain number, as `if` and
    `float` do, raises ModelError.
    """

    __slots__ = ("operand",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, operand: Operand) -> None:
        self.operand = operand

    @classmethod
    def of(cls, expression: Expr) -> Symbol:
        return cls(Operand(expression))

    @property
    def expression(self) -> Expr:
        return self.operand.whole()

    @property
    def type(self) -> Type:
        return self.expression.type

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the dimensions; indices of plates that the symbol was indexed by do not count."""
        return self.operand.shape

    @property
    def ndim(self) -> int:
        return self.operand.rank

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    @property
    def T(self) -> Symbol:
        return Symbol(operations.transpose(self.operand, caller_span()))

    def __repr__(self) -> str:
        return f"Symbol({expression_text(self.expression)}, shape {self.shape})"

    # NumPy's protocols ---------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *arguments: Any, **keywords: Any) -> Any:
        return wrap(call_ufunc(ufunc, method, arguments, keywords))

    def __array_function__(self, function: Any, types: Any, arguments: Any, keywords: Any) -> Any:
        return wrap(call_numpy(function, arguments, keywords))

    # Operators -----------------------------------------------------------------------------------

    __add__, __radd__ = _binary("add"), _reflected("add")
    __sub__, __rsub__ = _binary("subtract"), _reflected("subtract")
    __mul__, __rmul__ = _binary("multiply"), _reflected("multiply")
    __truediv__, __rtruediv__ = _binary("divide"), _reflected("divide")
    __floordiv__, __rfloordiv__ = _binary("floor_divide"), _reflected("floor_divide")
    __mod__, __rmod__ = _binary("remainder"), _reflected("remainder")
    __pow__, __rpow__ = _binary("power"), _reflected("power")
    __lt__, __le__ = _binary("less"), _binary("less_equal")
    __gt__, __ge__ = _binary("greater"), _binary("greater_equal")
    __eq__, __ne__ = _binary("equal"), _binary("not_equal")  # type: ignore[assignment]
    __neg__, __pos__, __abs__ = _unary("negative"), _unary("positive"), _unary("abs")
    __floor__, __ceil__ = _unary("floor"), _unary("ceil")

    def __round__(self, digits: int = 0) -> Any:
        return wrap(call_numpy(np.round, (self, digits), {}))

    def __matmul__(self, other: Any) -> Any:
        return wrap(call_numpy(np.matmul, (self, other), {}))

    def __rmatmul__(self, other: Any) -> Any:
        return wrap(call_numpy(np.matmul, (other, self), {}))

    def __and__(self, other: Any) -> Any:
        return wrap(call_numpy(np.bitwise_and, (self, other), {}))

    def __rand__(self, other: Any) -> Any:
        return wrap(call_numpy(np.bitwise_and, (other, self), {}))

    def __or__(self, other: Any) -> Any:
        return wrap(call_numpy(np.bitwise_or, (self, other), {}))

    def __ror__(self, other: Any) -> Any:
        return wrap(call_numpy(np.bitwise_or, (other, self), {}))

    def __invert__(self) -> Any:
        return wrap(call_numpy(np.invert, (self,), {}))

    # Methods -------------------------------------------------------------------------------------

    sum, prod, mean = _through(np.sum), _through(np.prod), _through(np.mean)
    var, std = _through(np.var), _through(np.std)
    min, max = _through(np.min), _through(np.max)
    dot, take, clip, round = _through(np.dot), _through(np.take), _through(np.clip), _through(np.round)
    cumsum, transpose = _through(np.cumsum), _through(np.transpose)
    diagonal, trace = _through(np.diagonal), _through(np.trace)

    def __getattr__(self, name: str) -> NoReturn:
        if name in _ARRAY_ATTRIBUTES:
            raise ModelError.of("E311", caller_span(), f"`.{name}` of an array does not work on symbols")
        raise AttributeError(f"a symbol has no attribute {name!r}")

    # Indexing ------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Symbol:
        return Symbol(take(self.operand, key, caller_span()))

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise ModelError.of("E312", caller_span(), "a symbol cannot be changed in place", "use np.where or np.stack")

    def __len__(self) -> int:
        if not self.shape:
            raise ModelError.of("E310", caller_span(), "a scalar has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Symbol]:
        if not self.shape:
            raise ModelError.of("E310", caller_span(), "a scalar cannot be iterated over")
        span = caller_span()
        return (Symbol(take(self.operand, i, span)) for i in range(self.shape[0]))

    # Where Python wants a number -----------------------------------------------------------------

    def _number(self, wanted: str) -> Any:
        """The value where it follows from the data alone; else ModelError."""
        kind = self.type
        if not kind.static or kind.axes:
            raise needs_number(self.operand, wanted)
        return evaluate(self.expression).array

    def __bool__(self) -> bool:
        return bool(self._number("a truth value"))

    def __float__(self) -> float:
        return float(self._number("one number"))

    def __int__(self) -> int:
        return int(self._number("one whole number"))

    def __index__(self) -> int:
        return int(self._number("one whole number"))

    def __complex__(self) -> complex:
        return complex(self._number("one number"))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._number("an array of numbers"), dtype)


@as_operand.register
def _symbol(value: Symbol, span: Span | None) -> Operand:
    return value.operand
