"""What a picture shows of a fit: variables and single elements by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ppl.posterior.draws import WeightedDraws


@dataclass(frozen=True)
class Chosen:
    """A variable, or one element of it: `draws` (draws, elements) and the names of the elements."""

    name: str
    elements: tuple[str, ...]
    draws: np.ndarray


def choose(posterior: WeightedDraws, names: Iterable[str] | None) -> list[Chosen]:
    """What `names` stand for, elements like `theta[0]` too; without names everything that is latent.

    Raises InferenceError for an unknown name.
    """
    if names is None:
        latent = [name for name in posterior.values if posterior.variables[name].kind == "latent"]
        names = latent or list(posterior.values)
    return [_chosen(posterior, name) for name in names]


def _chosen(posterior: WeightedDraws, name: str) -> Chosen:
    base = name.split("[", 1)[0]
    whole = name in posterior.values or base not in posterior.values
    array = posterior.array(name if whole else base)
    variable = posterior.variables[name if whole else base]
    flat = array.reshape(len(array), variable.size)
    elements = [each for place, each in enumerate(variable.element_names) if place not in variable.absent]
    flat = np.delete(flat, list(variable.absent), axis=1)
    if whole:
        return Chosen(name, tuple(elements), flat)
    wanted = name.replace(" ", "")
    places = [place for place, each in enumerate(elements) if each.replace(" ", "") == wanted]
    if not places:
        posterior.array(name)  # raises: no such name
    return Chosen(elements[places[0]], (elements[places[0]],), flat[:, places])
