"""What a function of the language is: one record with its signature and one implementation.

Implementations take `xp` first, then arrays whose batch axes are on the left and already aligned, so they
only broadcast; core dimensions, named in `signature` as NumPy's generalised ufuncs do, are on the right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ppl.registry import Registry

Array = Any
UNKNOWN = "unknown"


def unknown_domain(*domains: str) -> str:
    """The domain rule of a function about whose values nothing is known in general."""
    return UNKNOWN


def always(domain: str) -> Callable[..., str]:
    """The domain rule of a function whose values lie in one support whatever its arguments."""
    return lambda *domains: domain


@dataclass(frozen=True)
class Function:
    """A function of the language.

    `parameters` names the array arguments; a last name ending in `…` may be repeated. `signature` is
    gufunc-like: `"(),()->()"` is elementwise, `"(n),(n)->()"` contracts the last axis; `"(...)->()"` takes the whole
    event. Where it has `...`, the implementation also takes the keyword `event_rank`: how many of the last axes of its
    arguments are the event. The core dimensions of a variadic function's repeated argument are written once.
    `static` names keyword arguments that are plain numbers known before any data flow; one that the result's signature
    names is a length, and must be given. `positions` names arguments whose elements are places from 0 to below that
    length. `alternatives` are the records of the same operation for arguments of other ranks.
    `domain` maps the arguments' supports (names, or `"unknown"`) to the result's; `"real"` claims
    the *whole* line. `numpy` lists what stands for it at the Python door, as `"numpy.exp"`. `differentiable` is
    False for comparisons and the like. `example` is one set of arguments, for the contract tests, with `example_static`
    the static ones.
    """

    name: str
    parameters: tuple[str, ...]
    implementation: Callable[..., Array]
    signature: str
    doc: str
    static: tuple[str, ...] = ()
    domain: Callable[..., str] = unknown_domain
    numpy: tuple[str, ...] = ()
    differentiable: bool = True
    example: tuple[Any, ...] = ()
    example_static: Mapping[str, Any] = field(default_factory=dict)
    positions: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()

    @cached_property
    def core_inputs(self) -> tuple[tuple[str, ...], ...]:
        """Core dimension names of each argument."""
        return tuple(core_dimensions(part) for part in self.signature.split("->")[0].replace("),(", ")|(").split("|"))

    @cached_property
    def core_output(self) -> tuple[str, ...]:
        return core_dimensions(self.signature.split("->")[1])

    @property
    def lengths(self) -> tuple[str, ...]:
        """The static arguments that are lengths of the result."""
        return tuple(name for name in self.static if name in self.core_output)

    @property
    def elementwise(self) -> bool:
        return not self.core_output and not any(self.core_inputs)

    @property
    def variadic(self) -> bool:
        return bool(self.parameters) and self.parameters[-1].endswith("…")


def core_dimensions(part: str) -> tuple[str, ...]:
    """`"(m,n)"` to `("m", "n")`."""
    inner = part.strip()[1:-1].strip()
    return tuple(name.strip() for name in inner.split(",")) if inner else ()


def for_ranks(function: Function, ranks: Sequence[int]) -> Function:
    """The function, or that of its alternatives which takes arguments of these ranks."""
    for name in function.alternatives:
        if [len(core) for core in FUNCTIONS[name].core_inputs] == list(ranks):
            return FUNCTIONS[name]
    return function


FUNCTIONS: Registry[Function] = Registry("function", "ppl.functions")
