"""Pass: the gradient estimator of every guided site, and where in the guide it lives.

| the site | lives in | estimator |
| --- | --- | --- |
| continuous | the Gaussian block | pathwise |
| continuous, noted `@guide("gamma")` or `@implicit` | a factor of its own | pathwise or implicit |
| continuous, noted `@score` | a factor of its own | score |
| discrete and not summed out | a factor of its own | score |

A factor is a distribution of the catalogue with learned parameters (see `factors.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ppl.compiler.factors import COORDINATE, DISCRETE, FACTOR_FAMILIES, HEADS, FactorFamily, is_circle
from ppl.constraints import SUPPORTS
from ppl.errors import Diagnostic, ModelError
from ppl.model.expressions import values_read
from ppl.model.model import Note, Site
from ppl.model.networks import HEADS as NETWORK_HEADS
from ppl.model.plan import Estimator, Plan, SitePlan
from ppl.model.resolve import evaluate
from ppl.source import nearest

GAUSSIAN_BLOCK = "gaussian"
PATHS = {
    "pathwise": "a draw is a smooth function of noise and of the factor's parameters",
    "implicit": "a draw moves with the factor's parameters as its quantile does",
    "score": "scored with its own downstream costs and a baseline",
}
"""What each estimator of a factor rests on."""


@dataclass(frozen=True)
class Asked:
    """What the notes of a site ask for, with the note of each."""

    estimator: Note | None
    family: Note | None

    @classmethod
    def of(cls, site: Site) -> Asked:
        """Raises ModelError for notes that contradict each other."""
        paths = [note for note in site.notes if note.name in PATHS]
        return cls(_agreed(site, paths), _agreed(site, [note for note in site.notes if note.name == "guide"]))

    @property
    def estimator_name(self) -> str:
        return "" if self.estimator is None else self.estimator.name


def _agreed(site: Site, notes: list[Note]) -> Note | None:
    """The one thing that these notes say. Raises ModelError where they say several, on the site and on a block."""
    for note in notes[1:]:
        if (note.name, note.arguments) != (notes[0].name, notes[0].arguments):
            found = f"`{site.name}` is marked `{_written(notes[0])}` too"
            raise ModelError.of("E404", note.span or site.span, found, "remove one of them")
    return notes[0] if notes else None


def _written(note: Note) -> str:
    return f"@{note.name}" + (f'("{note.arguments[0]}")' if note.arguments else "")


def choose_estimators(plan: Plan) -> Plan:
    """Decide estimator and factor of every latent that is not enumerated.

    Raises ModelError where a site has no guide, or a note asks for what cannot be.
    """
    sites = dict(plan.sites)
    warnings: list[Diagnostic] = []
    problems: list[Diagnostic] = []
    for site in plan.model.latents:
        try:
            if _is_discrete(site):
                _refuse_paths(site)
            if sites[site.name].treatment == "enumerated":
                continue
            decided = _decided(plan, site)
        except ModelError as error:
            problems += error.diagnostics
            continue
        sites[site.name] = decided
        warnings += _warn_unbounded(site)
    problems += _random_support(plan)
    if problems:
        raise ModelError(problems)
    return replace(plan, sites=sites).warned(warnings)


def _decided(plan: Plan, site: Site) -> SitePlan:
    """Raises ModelError for a site that cannot have what it needs."""
    decided = plan.sites[site.name]
    noted = next((note for note in site.notes if note.name == "amortized"), None)
    if noted is not None:
        return _amortised(decided, site, noted)
    if _is_discrete(site):
        return _discrete(decided, site)
    found = _continuous(decided, site)
    if plan.is_local(site) and not found.factor:
        why = "one of many in a plate that is seen in parts: a normal factor in the unconstrained coordinate"
        return replace(_own(decided, FACTOR_FAMILIES[COORDINATE], "pathwise", why), bijection=site.support.name)
    return found


def _amortised(decided: SitePlan, site: Site, note: Note) -> SitePlan:
    """A factor whose parameters a network gives. Raises ModelError where its outputs do not fit."""
    head, outputs = note.arguments
    family, discrete = FACTOR_FAMILIES[HEADS[head]], _is_discrete(site)
    where, fits = note.span or site.span, serves(family, site) if discrete else head.endswith("gaussian")
    if not fits or (head == "full_gaussian" and len(_coordinate(site)) != 1):
        raise ModelError.of("E404", where, f"an encoder with head `{head}` does not fit `{site.name}`")
    if not set(outputs.type.axes) <= set(site.axes):
        raise ModelError.of("E404", where, f"the encoder of `{site.name}` runs over plates that `{site.name}` lacks")
    size = math.prod(_coordinate(site)) if not discrete else _states(site) if head == "categorical" else 1
    wanted, given = NETWORK_HEADS[head](size), outputs.type.event
    if given != (wanted,):
        found = f"`{site.name}` takes {wanted} outputs of its encoder, this has {' x '.join(map(str, given)) or 1}"
        raise ModelError.of("E301", where, found)
    why = f"amortised: a {family.name} factor with parameters from a network"
    if discrete:
        return _own(replace(decided, amortised=True), family, "score", f"{why}, {PATHS['score']}")
    own = _own(replace(decided, amortised=True), family, "pathwise", why)
    return replace(own, bijection=site.support.name)


def _coordinate(site: Site) -> tuple[int, ...]:
    """The shape of the unconstrained value of one element of the plates."""
    return SUPPORTS[site.support.name].unconstrained_shape(site.shape)[len(site.axes) :]


def _states(site: Site) -> int:
    """How many states the elements of a finite discrete site have at most."""
    first, last = (evaluate(end).array for end in site.support.arguments)
    return int(np.max(last) - np.min(first)) + 1


def _is_discrete(site: Site) -> bool:
    return SUPPORTS[site.support.name].bijection is None


def _discrete(decided: SitePlan, site: Site) -> SitePlan:
    """A factor scored by itself. Raises ModelError where there is none."""
    asked = Asked.of(site)
    if site.support.name not in DISCRETE or not all(bound.type.static for bound in site.support.arguments):
        raise ModelError([_no_guide(site)])
    family = _family_asked(site, asked.family) if asked.family else FACTOR_FAMILIES[DISCRETE[site.support.name]]
    return replace(
        decided,
        factor=family.name,
        estimator="score",
        reason=f"discrete: a {family.name} factor, {PATHS['score']}",
        alternatives="pathwise, implicit: a discrete draw does not move smoothly with its parameters",
    )


def _refuse_paths(site: Site) -> None:
    """Raises ModelError for a note that asks for a smooth path of a discrete site."""
    note = Asked.of(site).estimator
    if note is not None and note.name != "score":
        found = f"`{site.name}` is discrete: its draws do not move smoothly with a parameter"
        raise ModelError.of("E404", note.span or site.span, found, "it can be summed out or scored")


def _no_guide(site: Site) -> Diagnostic:
    support = SUPPORTS[site.support.name]
    found = f"its support is {support.describe.format(*support.arguments)}"
    if support.name in DISCRETE:
        found = "the ends of its support are random"
    return Diagnostic("E405", site.span, f"no guide for `{site.name}`: {found}")


def _continuous(decided: SitePlan, site: Site) -> SitePlan:
    """The Gaussian block, unless a note asks for a family or an estimator of its own."""
    asked = Asked.of(site)
    if asked.family is None and asked.estimator_name in ("", "pathwise"):
        return _in_block(decided, site)
    if asked.family is None and asked.estimator_name == "score":
        why = "as noted: a normal factor in the unconstrained coordinate, " + PATHS["score"]
        decided = _own(decided, FACTOR_FAMILIES[COORDINATE], "score", why)
        return replace(decided, bijection=site.support.name)
    family = _family_asked(site, asked.family) if asked.family else _implicit_family(site, asked.estimator)
    path = family.distribution.reparameterised
    estimator: Estimator = "score" if asked.estimator_name == "score" or path == "no" else path
    if asked.estimator_name not in ("", estimator):
        found = f"`{site.name}`: draws of a {family.name} factor are not {asked.estimator_name}"
        assert asked.estimator is not None
        raise ModelError.of("E404", asked.estimator.span or site.span, found, f"leave it out, or use `@{estimator}`")
    return _own(decided, family, estimator, f"as noted: a {family.name} factor; {PATHS[estimator]}")


def _in_block(decided: SitePlan, site: Site) -> SitePlan:
    bijection = SUPPORTS[site.support.name].bijection
    assert bijection is not None
    through = "" if site.support.name == "real" else f", through {bijection.formula}"
    own = [family.name for family in FACTOR_FAMILIES.values() if serves(family, site)]
    others = f"; a factor of its own by `@guide` ({', '.join(own)}): no correlations" if own else ""
    return replace(
        decided,
        bijection=site.support.name,
        block=GAUSSIAN_BLOCK,
        estimator="pathwise",
        reason=f"continuous: {site.support.name}{through}",
        alternatives=f"score: unbiased too, but noisier{others}",
    )


def _own(decided: SitePlan, family: FactorFamily, estimator: Estimator, reason: str) -> SitePlan:
    left = [name for name in ("pathwise", "implicit") if name != estimator]
    others = "pathwise in the Gaussian block: with correlations"
    if estimator == "score":
        others += "; " + ", ".join(left) + ": less noise, where the family allows it"
    return replace(decided, factor=family.name, estimator=estimator, reason=reason, alternatives=others)


def serves(family: FactorFamily, site: Site) -> bool:
    """Whether a family can be the factor of a site, in the site's own coordinate."""
    if site.support.name not in family.supports:
        return False
    return is_circle(site.support.arguments) if site.support.name == "interval" else True


def _family_asked(site: Site, note: Note) -> FactorFamily:
    """The family a note names. Raises ModelError where there is none, or it does not fit the site."""
    (name,) = note.arguments
    fitting = [family.name for family in FACTOR_FAMILIES.values() if serves(family, site)]
    can_be = f"`{site.name}` can have {', '.join(fitting)}" if fitting else "this site lives in the Gaussian block"
    if name not in FACTOR_FAMILIES:
        near = nearest(name, fitting)
        expected = f"did you mean `{near}`?" if near else can_be
        raise ModelError.of("E404", note.span or site.span, f"no guide factor `{name}`", expected)
    if name not in fitting:
        describe = SUPPORTS[site.support.name].name
        found = f"a {name} factor does not fit `{site.name}`, whose support is `{describe}`"
        raise ModelError.of("E404", note.span or site.span, found, can_be)
    return FACTOR_FAMILIES[name]


def _implicit_family(site: Site, note: Note | None) -> FactorFamily:
    """The first family with implicit gradients that fits. Raises ModelError where none does."""
    assert note is not None
    for family in FACTOR_FAMILIES.values():
        if family.distribution.reparameterised == "implicit" and serves(family, site):
            return family
    found = f"no family with implicit gradients has the support of `{site.name}`"
    raise ModelError.of("E404", note.span or site.span, found, "it lives in the Gaussian block: remove the note")


def _warn_unbounded(site: Site) -> list[Diagnostic]:
    if site.support.name != "count":
        return []
    found = "unbounded discrete latent: it cannot be enumerated, so it is sampled and scored"
    return [Diagnostic("W401", site.distribution.span or site.span, found)]


def _random_support(plan: Plan) -> list[Diagnostic]:
    """A support must not move with a discrete site: the Gaussian block is drawn first."""
    discrete = {site.name for site in plan.model.latents if site.distribution.family.discrete}
    problems = []
    for site in plan.model.latents:
        if site.distribution.family.discrete:
            continue
        for name in sorted(values_read(*site.support.arguments) & discrete):
            kind = "enumerated" if plan.sites[name].treatment == "enumerated" else "discrete"
            found = f"support of latent `{site.name}` depends on `{name}`, which is {kind}"
            fix = "scale instead: u ~ uniform(0, 1); x = z * u"
            problems.append(Diagnostic("E402", site.distribution.span or site.span, found, fix=fix))
    return problems
