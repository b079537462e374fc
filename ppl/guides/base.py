"""What a guide is: a family of distributions over a flat unconstrained vector, with its own flat parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from ppl.errors import Diagnostic, InferenceError, ModelError
from ppl.model.model import Note, Site
from ppl.model.plan import Plan
from ppl.registry import Registry

HALF_LOG_TWO_PI = 0.5 * float(np.log(2.0 * np.pi))
Array = Any


class VectorGuide(ABC):
    """A family over vectors of length `dim`; `parameters` is one flat vector.

    Arrays are written against `xp`; draws have shape (draws, dim).
    """

    name: str
    doc: str
    options: ClassVar[Mapping[str, int]] = {}
    """Whole numbers that a fit may give to shape the family, with their defaults."""
    most: ClassVar[int | None] = None
    """The largest `dim` that the family is meant for; None where there is no limit."""
    scored: int = 0
    """How many of the parameters, the first ones, draws do not move with: their gradient is the score function's."""

    def __str__(self) -> str:
        return self.name

    def plan_for(self, plan: Plan) -> Plan:
        """The plan with what this guide decides otherwise."""
        return plan

    def for_plan(self, plan: Plan, **options: Any) -> VectorGuide:
        """The member of the family that suits a plan. Raises ModelError for notes that it cannot carry out."""
        return self

    def noise_size(self, dim: int) -> int:
        """How many standard normals one draw takes."""
        return dim

    @abstractmethod
    def size(self, dim: int) -> int:
        """Number of parameters."""

    @abstractmethod
    def initial(self, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
        """Parameters at or near the independent Gaussian with this mean and these standard deviations."""

    def near(self, mean: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Parameters as near to N(mean, factor factor') as the family comes; `factor` is lower triangular."""
        return self.initial(mean, np.sqrt(np.sum(factor**2, axis=1)))

    @abstractmethod
    def transform(self, xp: Any, parameters: Array, noise: Array) -> Array:
        """Standard normal noise (draws, noise_size) to draws (draws, dim), which move with the parameters."""

    @abstractmethod
    def log_density(self, xp: Any, parameters: Array, draws: Array) -> Array:
        """Log density of draws: (draws,)."""

    def fixed_noise(self, rng: np.random.Generator, pairs: int, dim: int) -> np.ndarray | None:
        """Noise (2 pairs, noise_size) in ± pairs on which an objective that keeps its draws is bounded; None where that
        takes more pairs, or no number is enough.
        """
        return None

    def log_density_at_noise(self, xp: Any, parameters: Array, noise: Array) -> Array:
        """Log density of the draws that `transform` makes of this noise: (draws,).

        Overridden where finding the noise again would lose digits.
        """
        return self.log_density(xp, parameters, self.transform(xp, parameters, noise))

    def entropy(self, xp: Any, parameters: Array) -> Array | None:
        """Entropy in nats; None where it has no closed form."""
        return None


class GaussianGuide(VectorGuide):
    """A family of multivariate Gaussians."""

    independent: bool = False
    """Whether the coordinates are independent of each other."""

    def log_density_at_noise(self, xp: Any, parameters: Array, noise: Array) -> Array:
        """Without solving for the noise, which would lose all digits where the Gaussian is narrow in one direction and
        wide in another.
        """
        dim = noise.shape[1]
        return 0.5 * (dim - xp.sum(noise * noise, axis=1)) - self.entropy(xp, parameters)

    @abstractmethod
    def entropy(self, xp: Any, parameters: Array) -> Array:
        """Entropy in nats."""

    @abstractmethod
    def marginals(self, xp: Any, parameters: Array) -> tuple[Array, Array]:
        """Mean and variance of each coordinate: (dim,) each."""

    def spread(self, xp: Any, parameters: Array) -> tuple[Array | None, Array | None]:
        """The covariance as a diagonal (dim,) to which the outer products of columns (n, dim) are added.

        None for either where there is none of it, for both where the covariance has no such form.
        """
        return None, None

    @abstractmethod
    def moments(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean (dim,) and covariance (dim, dim)."""


def paired(half: np.ndarray) -> np.ndarray:
    """Rows and their negatives, with unit variances: (2 pairs, columns)."""
    half = half / np.sqrt(np.mean(half**2, axis=0))
    return np.concatenate([half, -half])


GUIDES: Registry[VectorGuide] = Registry("guide", "ppl.guides")


def notes_of(plan: Plan, name: str) -> Iterator[tuple[Site, Note]]:
    """The notes of that name, with their sites, of the sites in the flat vector."""
    return ((site, note) for site in plan.continuous for note in site.notes if note.name == name)


def refuse_notes(plan: Plan, guide: str, *names: str) -> None:
    """Raises ModelError for notes of these names, which ask for what the guide does not have."""
    problems = {}
    for name in names:
        for site, note in notes_of(plan, name):
            found = f"`@{name}` asks for covariances within a group, which the guide `{guide}` does not have"
            problems[note.span or site.span] = Diagnostic(
                "E801", note.span or site.span, found, "use the guide `full_rank` or `mean_field`"
            )
    if problems:
        raise ModelError(list(problems.values()))


def check_family_options(guide: VectorGuide, options: Mapping[str, Any]) -> None:
    """Raises InferenceError for an option that is no positive whole number."""
    for name, value in options.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            found = f"{name} is {value!r}"
            raise InferenceError.of("E703", None, found, f"the guide `{guide.name}` takes a positive whole number")
