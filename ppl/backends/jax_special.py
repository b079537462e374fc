"""`jax.scipy.special`, and the functions of `ppl.special` that it lacks, computed by NumPy on the host.

Those on the host hold to all digits in the far tails, as in the default backend. They have first derivatives only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jax.scipy import special as _jax

from ppl import special as _plain
from ppl.backends.jax_host import call_on_host
from ppl.backends.jax_rules import traced

ON_HOST = frozenset(_plain.SLOPES)
"""Functions that leave the device for the host at each evaluation."""


def _differentiable(function: Callable[..., Any], slopes: tuple[Callable[..., Any], ...]) -> Callable[..., Any]:
    """The function on the host, with slopes on the host by those of its arguments that vary."""
    wrapped = jax.custom_jvp(partial(_on_host, function))

    def rule(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
        answer = wrapped(*primals)
        total = jnp.zeros_like(answer)
        for slope, tangent in zip(slopes, tangents, strict=True):
            if not isinstance(tangent, SymbolicZero):
                total = total + _on_host(slope, answer, *primals) * tangent
        return answer, total

    wrapped.defjvp(rule, symbolic_zeros=True)
    return lambda *arguments: wrapped(*(jnp.asarray(argument, float) for argument in arguments))


def _on_host(function: Callable[..., Any], *arguments: Any) -> Any:
    shape = jnp.broadcast_shapes(*(jnp.shape(argument) for argument in arguments))
    return call_on_host(lambda *arrays: [np.broadcast_to(function(*arrays), shape)], [shape], *arguments)[0]


def _ive(order: float, x: Any) -> Any:
    """The exponentially scaled modified Bessel function of order 0 or 1."""
    return {0.0: _jax.i0e, 1.0: _jax.i1e}[order](x)


_LARGE = 10.0
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)


@jax.custom_jvp
def _betaln(a: Any, b: Any) -> Any:
    """Log of the beta function; that of JAX has six digits where an argument is above 8.

    For large arguments what the gamma functions have in common is taken off before it can cancel.
    """
    a, b = jnp.minimum(a, b), jnp.maximum(a, b)
    total, low, high = a + b, jnp.maximum(a, _LARGE), jnp.maximum(b, _LARGE)
    beyond = _beyond_stirling(high) - _beyond_stirling(a + high)
    plain = _jax.gammaln(a) + _jax.gammaln(b) - _jax.gammaln(total)
    one = _jax.gammaln(a) + a - a * jnp.log(total) - (b - 0.5) * jnp.log1p(a / b) + beyond
    both = (low - 0.5) * jnp.log(low / (low + high)) - high * jnp.log1p(low / high) - 0.5 * jnp.log(high)
    both = both + 0.5 * np.log(2.0 * np.pi) + _beyond_stirling(low) + beyond
    return jnp.where(a >= _LARGE, both, jnp.where(b >= _LARGE, one, plain))


def _beyond_stirling(x: Any) -> Any:
    """`gammaln(x)` less Stirling's formula, for x from 10 on."""
    inverse = 1.0 / x
    total = jnp.zeros_like(inverse)
    for coefficient in reversed(_STIRLING):
        total = total * inverse * inverse + coefficient
    return total * inverse


@_betaln.defjvp
def _betaln_slope(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
    a, b = primals
    common = _jax.digamma(a + b)
    return _betaln(a, b), (_jax.digamma(a) - common) * tangents[0] + (_jax.digamma(b) - common) * tangents[1]


_OWN = {name: _differentiable(function, slopes) for name, (function, slopes) in _plain.SLOPES.items()} | {
    "ive": _ive,
    "betaln": lambda a, b: _betaln(jnp.asarray(a, float), jnp.asarray(b, float)),
}


def __getattr__(name: str) -> Any:
    """The function of that name: NumPy's where no argument is traced."""
    plain = getattr(_plain, name)
    other = _OWN[name] if name in _OWN else getattr(_jax, name)
    return lambda *arguments: (other if traced(arguments) else plain)(*arguments)
