"""Missing observations, which stand as NaN in the observed values of a site, and elements beyond ragged ends.

Where nothing reads the site, they drop out of the density: the site keeps the observed elements alone, along an axis of
its own. Where something does, the missing elements become a latent site `name_missing` and readers see the completed
value. Elements beyond the ends of a ragged plate drop out in any case; where the site is read they stay, with log
density 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ppl.axes import Axis, Layout, union
from ppl.constraints import SUPPORTS
from ppl.distributions import combinators
from ppl.errors import Diagnostic, ModelError
from ppl.model import construct
from ppl.model import expressions as ex
from ppl.model.expressions import Expr
from ppl.model.model import DistributionUse, Model, Site, Statement
from ppl.model.resolve import NumpyLanguage, Resolver, evaluate, mask
from ppl.model.rewrite import selected, with_expressions, with_values


def has_gaps(observed: Expr | None) -> bool:
    """Whether an observed value has missing elements."""
    return observed is not None and observed.type.static and bool(np.any(np.isnan(evaluate(observed).array)))


def without_gaps(model: Model) -> Model:
    """The model with missing observations dropped, or made latent where they are read.

    Raises ModelError.
    """
    gappy = {site.name for site in model.observed if site.present is not None or has_gaps(site.observed)}
    if not gappy:
        return model
    read = {name for statement in (*model.statements, *model.predicted) for name in statement.reads}
    problems: list[Diagnostic] = []
    completed: dict[str, Expr] = {}
    statements: list[Statement] = []
    for statement in model.statements:
        if not isinstance(statement, Site) or statement.name not in gappy:
            statements.append(statement)
            continue
        try:
            statements += _Gaps.of(statement).closed(model, statement.name in read, completed)
        except ModelError as error:
            problems.extend(error.diagnostics)
    if problems:
        raise ModelError(problems)
    filled = [tuple(with_values(s, completed) for s in part) for part in (statements, model.predicted)]
    return replace(model, statements=filled[0], predicted=filled[1])


@dataclass(frozen=True)
class _Gaps:
    """A site with masks of its missing elements and of those beyond the ends of a ragged plate, over its axes in
    canonical order.
    """

    site: Site
    axes: tuple[Axis, ...]
    missing: np.ndarray
    absent: np.ndarray

    @classmethod
    def of(cls, site: Site) -> _Gaps:
        assert site.observed is not None
        found = evaluate(site.observed)
        axes = union([site.axes])
        array = np.isnan(Resolver(NumpyLanguage()).expand(found, Layout(axes, found.event_rank)))
        event = tuple(range(array.ndim - found.event_rank, array.ndim))
        some, every = array.any(axis=event), array.all(axis=event)
        if np.any(some & ~every):
            raise ModelError.of(
                "E801", site.observed.span or site.span, f"a value of `{site.name}` is missing in part, which is not "
                "supported yet", "give the elements distributions of their own, or make the whole value NaN",
            )  # fmt: skip
        shape = tuple(axis.size for axis in axes)
        absent = np.zeros(shape, bool) if site.present is None else ~mask(site.present, axes)
        return cls(site, axes, np.broadcast_to(some, shape) & ~absent, absent)

    def closed(self, model: Model, read: bool, completed: dict[str, Expr]) -> list[Site]:
        """What stands in place of the site, which others `read`; `completed` gets what they see."""
        if not read:
            return self.dropped(model)
        return self.filled_in(model, completed) if self.missing.any() else [self._masked()]

    @property
    def out(self) -> np.ndarray:
        """The elements without a density."""
        return self.missing | self.absent

    # Leaves ------------------------------------------------------------------------------------------

    def dropped(self, model: Model) -> list[Site]:
        """The site with its observed elements alone; none where nothing is observed."""
        if self.out.all():
            return []
        if self._follows_a_discrete_plate(model):
            return [self._masked()]
        return [self._part(self.site.name, "observed", ~self.out)]

    def _part(self, name: str, suffix: str, mask: np.ndarray) -> Site:
        """The elements where `mask` is true, along an axis named after the site."""
        if not self.axes:
            return replace(self.site, name=name)
        positions = np.nonzero(mask)
        axis = construct.fresh_axis(f"{self.site.name}_{suffix}", len(positions[0]))
        places = dict(zip(self.axes, positions, strict=True))
        changes = {"name": name, "axes": (axis,), "present": None}
        return with_expressions(self.site, lambda part: selected(part, places, axis), **changes)

    def _follows_a_discrete_plate(self, model: Model) -> bool:
        """Whether its elements belong to those of a discrete latent, which is summed out plate by plate."""
        parents = [model.by_name[name] for name in model.random_ancestors(model.by_name[self.site.name])]
        latent = [p for p in parents if isinstance(p, Site) and p.observed is None and p.distribution.family.discrete]
        return any(set(parent.axes) & set(self.axes) for parent in latent)

    def _masked(self) -> Site:
        """The site over all its plates, where missing elements have log density 0 at a stand-in value."""
        observed = self.site.observed
        assert observed is not None
        present = self._constant(~self.out)
        rows = evaluate(observed).array.reshape(-1, *(dim.size for dim in self.site.dims))
        known = rows[int(np.argmin(np.isnan(rows).reshape(len(rows), -1).any(axis=1)))]
        filled = construct.call("where", [present, observed, construct.constant(known)], observed.span)
        use = self.site.distribution
        masked = DistributionUse(combinators.masked(use.family), {**use.arguments, "present": present}, use.span)
        return replace(self.site, distribution=masked, observed=filled, present=None)

    # Inner values -------------------------------------------------------------------------------------

    def filled_in(self, model: Model, completed: dict[str, Expr]) -> list[Site]:
        """The missing elements as a latent site, and the observed ones; `completed` gets what readers see."""
        site = self.site
        name = _free_name(f"{site.name}_missing", model)
        latent = replace(self._part(name, "missing", self.missing), observed=None)
        completed[site.name] = self._completed(latent)
        return [latent, *self.dropped(model)]

    def _completed(self, latent: Site) -> Expr:
        """The observed values with the latent ones in their places."""
        observed = self.site.observed
        assert observed is not None
        kind = replace(observed.type, axes=latent.axes, dims=latent.dims, domain=latent.support.name, static=False)
        value: Expr = ex.Value(kind, self.site.span, latent.name)
        if not self.axes:
            return value
        position = self._constant(np.cumsum(self.missing).reshape(self.missing.shape) * self.missing - self.missing)
        value = construct.index(construct.lift(value, latent.axes), [position], self.site.span)
        known = self._whole_numbers() if SUPPORTS[self.site.support.name].discrete and not self.site.dims else observed
        return construct.call("where", [self._constant(self.missing), value, known], self.site.span)

    def _whole_numbers(self) -> Expr:
        """The observed values of a discrete site as the integers they are, with 0 in the gaps: they may be indices."""
        assert self.site.observed is not None
        found = evaluate(self.site.observed)
        array = np.broadcast_to(Resolver(NumpyLanguage()).expand(found, Layout(self.axes, 0)), self.missing.shape)
        return self._constant(np.where(self.missing | np.isnan(array), 0, array).astype(np.int64))

    def _constant(self, array: np.ndarray) -> Expr:
        """An array over the axes of the site."""
        return construct.over(array, self.axes)


def _free_name(name: str, model: Model) -> str:
    while name in model.by_name:
        name += "_"
    return name
