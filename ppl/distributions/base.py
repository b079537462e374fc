"""What a distribution is: a declaration that the compiler, the runtime and the contract tests read.

Implementations take arrays whose batch axes are on the left and already aligned. A parameter's `core`
dimensions and the value's `event` dimensions are on the right, named as in a gufunc signature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ppl.functions.base import core_dimensions
from ppl.registry import Registry

Array = Any


@dataclass(frozen=True)
class Parameter:
    """A parameter: `support` it must lie in, `core` dimensions it has for one event.

    `instead_of` marks another way to give the parameter of that name (`logits` instead of `probs`); it is
    given by keyword only. A parameter with a `default` may be left out; an `optional` one too, and is
    then not passed on at all. `length_of` marks a plain whole number, known when data are bound, that gives the
    length of that event dimension.
    """

    name: str
    support: str = "real"
    core: str = "()"
    instead_of: str = ""
    default: float | None = None
    optional: bool = False
    length_of: str = ""

    @property
    def core_dimensions(self) -> tuple[str, ...]:
        return core_dimensions(self.core)


@dataclass(frozen=True)
class SupportUse:
    """A support with its arguments: whatever the caller passed as parameters (numbers, arrays, expressions)."""

    name: str
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class NoiseForm:
    """A draw as a smooth function of its parameters and of noise that does not depend on them.

    `draw(rng, shape)` gives noise for a value of shape `(*batch, *event)`, perhaps with an axis more at its end;
    `transform(xp, noise, **parameters)` gives the value.
    """

    draw: Callable[..., Array]
    transform: Callable[..., Array]


@dataclass(frozen=True)
class ExponentialFamily:
    """A family in its natural form: `log p(x) = sum_i <eta_i, T_i(x)> - A(eta) + log h(x)`.

    `natural(xp, **parameters)` gives the tuple `eta`, `parameters(xp, *eta)` the standard parameters (those given by
    position) back, `statistics(xp, value)` the tuple `T(x)` and `mean_statistics(xp, *eta)` its expectation;
    `log_normaliser(xp, *eta)` is A and `log_base(xp, value)` log h. `eta_i` and `T_i` have shape
    `(*batch, *core)`, and the inner product runs over the last `ranks[i]` axes. What the form holds fixed (a
    parameter, as the total count of a binomial, or the length of a core dimension, as a categorical's `k`) is named in
    `fixed`; every function then takes it by keyword too.
    """

    ranks: tuple[int, ...]
    natural: Callable[..., tuple[Array, ...]]
    parameters: Callable[..., dict[str, Array]]
    statistics: Callable[..., tuple[Array, ...]]
    mean_statistics: Callable[..., tuple[Array, ...]]
    log_normaliser: Callable[..., Array]
    log_base: Callable[..., Array]
    fixed: tuple[str, ...] = ()


def fixed_support(name: str, *arguments: float) -> Callable[..., SupportUse]:
    """The support rule of a distribution whose support does not depend on its parameters."""
    return lambda parameters, sizes: SupportUse(name, arguments)


@dataclass(frozen=True)
class Distribution:
    """A family of distributions.

    `support(parameters, sizes)` gives the `SupportUse` of a value; `sizes` maps core dimension names to their lengths.
    `log_density(xp, value, **parameters)` and `sample(rng, shape, **parameters)` (NumPy; `shape` is the
    batch shape, to which every parameter broadcasts) receive only the parameters that were given.
    A draw depends smoothly on the parameters through its `noise` form, or through its distribution function: then
    `implicit(value, cotangent, **parameters)` carries, in NumPy, a derivative by the draw (of the value's shape) back
    to a dictionary of derivatives by each continuous parameter (*batch, *core), the quantiles of the draw, or of the
    independent parts it is made of, being held. `location_scale` names the two parameters of a family whose value in
    unconstrained space is `loc + scale * standard`. `entropy(xp, **parameters)` where it is closed; `exponential` is
    the natural form of an exponential family.
    `log_cdf(xp, value, **parameters)` and `log_survival`, logs of the chances of at most and of more than a value (any
    real number; for counts a whole one), let it be truncated and censored. `proper` is False for improper priors.
    A `support` of scalars holds each element of a larger event. `examples` are parameter sets and `reference` maps one
    to a frozen scipy.stats distribution, for the contract tests.
    """

    name: str
    parameters: tuple[Parameter, ...]
    support: Callable[[Mapping[str, Any], Mapping[str, int]], SupportUse]
    log_density: Callable[..., Array]
    sample: Callable[..., Array]
    doc: str
    event: str = "()"
    discrete: bool = False
    noise: NoiseForm | None = None
    implicit: Callable[..., dict[str, Array]] | None = None
    location_scale: tuple[str, str] | None = None
    entropy: Callable[..., Array] | None = None
    exponential: ExponentialFamily | None = None
    log_cdf: Callable[..., Array] | None = None
    log_survival: Callable[..., Array] | None = None
    proper: bool = True
    examples: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    reference: Callable[..., Any] | None = field(default=None, repr=False)

    @property
    def reparameterised(self) -> Literal["pathwise", "implicit", "no"]:
        """How a draw depends smoothly on the parameters."""
        if self.noise is not None:
            return "pathwise"
        return "no" if self.implicit is None else "implicit"

    @property
    def event_dimensions(self) -> tuple[str, ...]:
        return core_dimensions(self.event)

    def parameter(self, name: str) -> Parameter:
        return next(parameter for parameter in self.parameters if parameter.name == name)

    @property
    def positional(self) -> tuple[Parameter, ...]:
        """The parameters that may be given by position, in order."""
        return tuple(parameter for parameter in self.parameters if not parameter.instead_of)


DISTRIBUTIONS: Registry[Distribution] = Registry("distribution", "ppl.distributions")
