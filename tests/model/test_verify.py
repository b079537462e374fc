"""The verifier answers every kind of damage to a model or a plan."""

from dataclasses import replace

import numpy as np
import pytest

from ppl.axes import Axis
from ppl.compiler import PASSES
from ppl.errors import InternalError
from ppl.model import construct
from ppl.model import expressions as ex
from ppl.model.elimination import Reading
from ppl.model.model import SupportOf
from ppl.model.plan import Plan
from ppl.model.verify import verify, verify_plan
from ppl.program import parse

TEXT = """
data J, N: int
data group: index(J)[N]
data x: real[N, 2]
data y: real[N]
param rho: real(lower=0) = 0.5
mu ~ normal(0, rho)
b[d in 2] ~ normal(0, 1)
k ~ poisson(3)
plate j in J {
  a[j] ~ normal(mu, 1)
}
shift = mean(a)
plate n in N {
  z[n] ~ bernoulli(logits = mu)
  y[n] ~ normal(a[group[n]] + x[n] @ b + k * z[n] + shift, 1)
}
factor soft = -mu^2
predict {
  fresh ~ normal(mu, 1)
}
"""
DATA = {"J": 2, "N": 3, "group": [0, 1, 1], "x": np.ones((3, 2)), "y": [1.0, 2.0, 3.0]}
STRANGE = Axis("strange", 3, order=77)


@pytest.fixture(scope="module")
def model():
    return parse(TEXT).bind(DATA).model


@pytest.fixture(scope="module")
def plan(model):
    plan = Plan(model)
    for run in PASSES:
        plan = run(plan)
    return plan


def changed(model, name, change):
    """The model with one statement changed."""
    return replace(model, statements=tuple(change(s) if s.name == name else s for s in model.statements))


def with_argument(key, change):
    def changed_site(site):
        use = site.distribution
        return replace(site, distribution=replace(use, arguments={**use.arguments, key: change(use.arguments[key])}))

    return changed_site


def retyped(**fields):
    return lambda node: replace(node, type=replace(node.type, **fields))


def deep(kind, change):
    """The change done to the first node of that kind in an expression, its readers kept as they are."""

    def rebuilt(node):
        if isinstance(node, kind):
            return change(node)
        if isinstance(node, ex.Call):
            return replace(node, arguments=tuple(rebuilt(argument) for argument in node.arguments))
        return node

    return rebuilt


def swapped(model):
    return replace(model, statements=(*model.statements[2:], *model.statements[:2]))


BROKEN_MODELS = {
    "two statements are called `mu`": lambda m: replace(m, statements=(*m.statements, m.by_name["mu"])),
    "reads `mu`, which is not defined before it": swapped,
    "reads `fresh`, which is not defined": lambda m: changed(
        m, "soft", lambda s: replace(s, value=ex.Value(ex.Type(static=False), None, "fresh"))
    ),
    "reads the factor `soft`": lambda m: replace(
        m, predicted=(replace(m.predicted[0], observed=None, support=SupportOf("real")), _reader_of_a_factor(m))
    ),
    "`mu` has a plate twice": lambda m: changed(m, "mu", lambda s: replace(s, axes=(STRANGE, STRANGE))),
    "a plate of `a` has two ranges": lambda m: changed(m, "a", lambda s: replace(s, axes=(Axis("n", 2),))),
    "`y` reads along": lambda m: changed(m, "y", lambda s: replace(s, axes=())),
    "`scale` of `mu` has": lambda m: changed(m, "mu", with_argument("scale", lambda e: construct.constant(np.ones(2)))),
    "the event of `mu` is": lambda m: changed(m, "mu", lambda s: replace(s, dims=(ex.Dim(2),))),
    "has the support `nowhere`": lambda m: changed(m, "mu", lambda s: replace(s, support=SupportOf("nowhere"))),
    "the support of `mu` has 0": lambda m: changed(m, "mu", lambda s: replace(s, support=SupportOf("interval"))),
    "`mu` is too small for its support": lambda m: changed(m, "mu", lambda s: replace(s, support=SupportOf("simplex"))),
    "`mu` is discrete in one place only": lambda m: changed(m, "mu", lambda s: replace(s, support=SupportOf("count"))),
    "`y` is observed as": lambda m: changed(m, "y", lambda s: replace(s, observed=construct.data("y", np.ones(3)))),
    "`a` is observed to be something random": lambda m: changed(
        m, "a", lambda s: replace(s, observed=ex.Value(ex.Type(static=False), None, "mu"))
    ),
    "the factor `soft` is": lambda m: changed(m, "soft", lambda s: replace(s, value=construct.constant(np.ones(2)))),
    "starts at a value of shape": lambda m: changed(m, "rho", lambda s: replace(s, initial=np.ones(2))),
    "`rho` lies in a plate": lambda m: changed(m, "rho", lambda s: replace(s, axes=(STRANGE,))),
    "Value in `mu`: its type is": lambda m: changed(m, "mu", with_argument("scale", retyped(static=True))),
    "no support `nowhere`": lambda m: changed(m, "mu", with_argument("scale", retyped(domain="nowhere"))),
    "Call in `soft`: its type is": lambda m: changed(
        m, "soft", lambda s: replace(s, value=retyped(dims=(ex.Dim(4),))(s.value))
    ),
    "Gather in `y`: an index beyond": lambda m: changed(
        m, "y", with_argument("loc", deep(ex.Gather, lambda g: replace(g, items=(construct.constant(9),))))
    ),
    "Gather in `y`: its type is": lambda m: changed(m, "y", with_argument("loc", deep(ex.Gather, retyped(axes=())))),
    "Named in `y`": lambda m: changed(m, "y", lambda s: replace(s, observed=replace(s.observed, axis=STRANGE))),
    "Lift in `shift`": lambda m: changed(
        m, "shift", lambda s: replace(s, value=deep(ex.Lift, lambda e: replace(e, axes=(STRANGE,)))(s.value))
    ),
    "SliceOf in `soft`": lambda m: changed(
        m, "soft", lambda s: replace(s, value=ex.SliceOf(ex.Type(), None, construct.constant(np.ones(2)), 0, 1, 5))
    ),
}


def _reader_of_a_factor(model):
    value = ex.Value(ex.Type(static=False), None, "soft")
    return replace(model.by_name["shift"], name="late", value=value)


def test_a_sound_model(model):
    verify(model)


@pytest.mark.parametrize("message", BROKEN_MODELS)
def test_a_broken_model(model, message):
    with pytest.raises(InternalError) as caught:
        verify(BROKEN_MODELS[message](model))
    assert message in str(caught.value)


def site(name, **fields):
    return lambda plan: replace(plan, sites={**plan.sites, name: replace(plan.sites[name], **fields)})


def elimination(**change):
    """The first elimination with fields given as functions of it."""

    def changed_plan(plan):
        first = plan.eliminations[0]
        return replace(plan, eliminations=(replace(first, **{key: new(first) for key, new in change.items()}),))

    return changed_plan


def step(**fields):
    return elimination(steps=lambda e: (replace(e.steps[0], **fields), *e.steps[1:]))


def cost(name, **fields):
    return lambda plan: replace(plan, costs=tuple(replace(c, **fields) if c.name == name else c for c in plan.costs))


JOINED = "z, y"
BROKEN_PLANS = {
    "the plan's sites are not the model's": lambda p: replace(p, sites={}),
    "`y` is guided": site("y", treatment="guided"),
    "`rho` is guided": site("rho", treatment="guided"),
    "`mu` is observed": site("mu", treatment="observed"),
    "the plan has other plates for `a`": site("a", axes=()),
    "`a` has 7 elements": site("a", size=7),
    "no reason is given for `a`": site("a", reason=""),
    "eliminations and treatments differ": site("z", treatment="guided"),
    "a statement is in two eliminations": elimination(members=lambda e: (*e.members, *e.members)),
    "`y` reads an enumerated site and is in no elimination": elimination(
        members=lambda e: e.members[:1], steps=lambda e: (replace(e.steps[0], parts=e.steps[0].parts[:1]),)
    ),
    "z, y: sites": elimination(steps=lambda e: (*e.steps, *e.steps)),
    "`z` is summed over other plates": step(plates=()),
    "has a site that is gone": step(others={"z": Reading(())}),
    "is used twice or before it is there": elimination(
        steps=lambda e: (replace(e.steps[0], parts=(*e.steps[0].parts, *e.steps[0].parts)),)
    ),
    "left over are sum over z, y": elimination(steps=lambda e: (replace(e.steps[0], parts=e.steps[0].parts[:1]),)),
    "`z` is enumerated with the score estimator": site("z", estimator="score"),
    "`mu` is guided with the exact estimator": site("mu", estimator="exact"),
    "`k` is discrete and pathwise": site("k", estimator="pathwise"),
    "`mu` goes through the bijection of another support": site("mu", bijection="positive"),
    "`mu` is not in one part of the guide": site("mu", block=""),
    "the costs are not those of all": lambda p: replace(p, costs=p.costs[1:]),
    "the cost of `mu` depends on": cost("mu", depends=frozenset({"mu"})),
    "is local in other sites than those scored": cost(JOINED, local={}),
    "is local along a plate that `k` lacks": cost(JOINED, local={"k": (STRANGE,)}),
}


def test_a_sound_plan(plan):
    assert {site.estimator for site in plan.sites.values()} == {"none", "exact", "pathwise", "score"}
    verify_plan(plan, "list_costs")


@pytest.mark.parametrize("message", BROKEN_PLANS)
def test_a_broken_plan(plan, message):
    with pytest.raises(InternalError) as caught:
        verify_plan(BROKEN_PLANS[message](plan), "list_costs")
    assert message in str(caught.value)
