"""What must hold after every pass, for every model: the verifier's specification, and the log density."""

import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
from compiler.enumeration_cases import CASES
from compiler.random_programs import random_programs
from hypothesis import given, settings
from scipy.special import logsumexp

import ppl
from ppl.compiler import PASSES, density_program, simulate_program
from ppl.constraints import SUPPORTS
from ppl.model.plan import Plan
from ppl.model.verify import STAGES, verify, verify_plan
from ppl.numeric import NUMPY
from ppl.program import BoundModel

EXAMPLES = Path(__file__).parents[2] / "examples"
REFERENCES = os.environ.get("PPL_POSTERIORDB")
CENTRED = "eight_schools-eight_schools_centered"


def example(path):
    return ppl.load(path).bind(json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))


def reference(path):
    """A posteriordb model with its data; the centred eight schools have those of the non-centred."""
    folder = path.stem.replace("_centered", "_noncentered") if path.stem == CENTRED else path.stem
    data = json.loads((Path(REFERENCES) / folder / "data.json").read_text(encoding="utf-8"))
    try:
        return ppl.load(path).bind(data, base=1)
    except ppl.ModelError:
        pytest.skip("needs a part of the language that is not there yet")


def corpus():
    """Examples, models with discretes, and the reference posteriors where they are at hand."""
    for path in sorted(EXAMPLES.glob("*.ppl")):
        yield pytest.param(lambda path=path: example(path), id=path.stem)
    for case in CASES:
        data = {name: np.asarray(value) for name, value in case.data.items()}
        yield pytest.param(lambda case=case, data=data: ppl.parse(case.program).bind(data), id=case.name)
    for path in sorted((EXAMPLES / "posteriordb").glob("*.ppl")) if REFERENCES else ():
        yield pytest.param(lambda path=path: reference(path), id=path.stem)


def stages(model):
    """The plan before the first pass and after each, each with the pass that made it."""
    plan = Plan(model)
    yield None, plan
    for run in PASSES:
        plan = run(plan)
        yield run, plan


def decisions(plan):
    """A plan as values that can be compared."""
    eliminations = [
        (
            e.members,
            e.states,
            [(s.site, s.plates, [(p.factor, p.plates) for p in s.parts], list(s.others)) for s in e.steps],
        )
        for e in plan.eliminations
    ]
    return plan.sites, eliminations, plan.costs, plan.warnings


def check_every_pass(bound: BoundModel):
    """Specification, idempotence, and a log density that no pass changes."""
    values = some_values(bound)
    before = None
    for run, plan in stages(bound.model):
        if run is None:
            verify(plan.model)
        else:
            verify_plan(plan, run.__name__)
            assert decisions(run(plan)) == decisions(plan)
        total = total_density(bound, plan, values)
        if before is not None and len(plan.enumerated) == before[0]:
            np.testing.assert_allclose(total, before[1], rtol=1e-12, atol=1e-12)
        elif before is not None:
            compare_with_brute_force(bound, plan, values, total)
        before = len(plan.enumerated), total


def some_values(bound):
    """One draw of every latent from its distribution, a normal one where that is improper; parameters as they start."""
    model = bound.model
    rng = np.random.default_rng(5)
    params = {p.name: np.broadcast_to(np.asarray(p.initial, float), p.shape) for p in model.params}
    observed = {site.name for site in model.observed}
    improper = {s.name: _inside(s, rng) for s in model.latents if not s.distribution.family.proper}
    latent = type(model)(model.name, tuple(s for s in model.statements if s.name not in observed))
    prepare, run = simulate_program(latent, {**params, **improper}).load(NUMPY)
    with np.errstate(all="ignore"):
        drawn = run(rng, 1, {**params, **improper}, prepare(bound.data))
    values = {**drawn, **improper}
    return params | {site.name: values[site.name] for site in model.latents}


def _inside(site, rng):
    noise = 0.3 * rng.standard_normal((1, *site.shape))
    return noise if SUPPORTS[site.support.name].name == "real" else np.exp(noise) / 4


def total_density(bound, plan, values):
    """The joint log density of each draw, with the plan's enumerated sites summed out: (draws,)."""
    prepare, run = density_program(plan).load(NUMPY)
    hidden = {site.name for site in plan.enumerated}
    with np.errstate(all="ignore"):
        terms = run({name: value for name, value in values.items() if name not in hidden}, prepare(bound.data))
    arrays = [np.atleast_1d(term) for term in terms.values()]
    return sum(array.reshape(len(array), -1).sum(axis=1) for array in arrays)


def compare_with_brute_force(bound, plan, values, total, most=20_000):
    """`total` against the sum over every configuration of the enumerated sites, if those are not too many."""
    counts = {}
    for site in plan.enumerated:
        axis = next(e.states[site.name] for e in plan.eliminations if site.name in e.states)
        counts[site.name] = (axis.size, site.shape)
    if np.prod([float(n) ** np.prod(shape) for n, shape in counts.values()]) > most:
        return
    spaces = [range(n) for n, shape in counts.values() for _ in range(int(np.prod(shape)))]
    table = np.array(list(itertools.product(*spaces)))
    params = {param.name for param in bound.model.params}
    every = {n: v if n in params else np.repeat(v, len(table), axis=0) for n, v in values.items()}
    start = 0
    for name, (_, shape) in counts.items():
        size = int(np.prod(shape))
        every[name] = table[:, start : start + size].reshape(len(table), *shape)
        start += size
    plain = np.broadcast_to(total_density(bound, Plan(bound.model), every), len(table))
    inside = np.where(np.isnan(plain), -np.inf, plain)  # a state beyond the end of its element's range
    np.testing.assert_allclose(total, logsumexp(inside), rtol=1e-10, atol=1e-10)


def test_the_verifier_knows_every_pass():
    assert list(STAGES) == [run.__name__ for run in PASSES]


@pytest.mark.parametrize("bound", list(corpus()))
def test_corpus(bound):
    check_every_pass(bound())


@settings(max_examples=80)
@given(random_programs())
def test_random_models(program):
    check_every_pass(ppl.parse(program.text).bind(program.data))
