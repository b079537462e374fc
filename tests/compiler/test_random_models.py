"""Random discrete models of up to five sites in nested plates, summed out and by brute force in plain Python."""

import itertools
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from ppl.inference.discrete import enumerated_marginals
from ppl.program import parse

SIZES = {"i": 2, "j": 2, "k": 2}
PLATES = ("", "i", "ij", "k", "ki")
"""Nested plates: j lies in i; k stands beside them, and i in k crosses."""
COEFFICIENTS = (-1.3, -0.4, 0.7, 1.6)
MOST_BITS = 11


@st.composite
def models(draw):
    """Sites as (plates, parents with coefficients and how they are read), the last one observed.

    A parent is read by shared plates ("") or by a table of positions along its one plate.
    """
    sites = []
    for _ in range(draw(st.integers(2, 5))):
        plates = draw(st.sampled_from(PLATES))
        parents = []
        for parent, (above, _) in enumerate(sites):
            ways = [""] * (set(above) <= set(plates)) + ["look up"] * (len(above) == 1 and len(plates) == 1)
            if ways and draw(st.booleans()):
                how = draw(st.sampled_from(ways))
                table = [draw(st.integers(0, SIZES[above] - 1)) for _ in range(SIZES[plates])] if how else None
                parents.append((parent, draw(st.sampled_from(COEFFICIENTS)), table))
        sites.append((plates, parents))
    return sites


def elements(plates):
    return list(itertools.product(*(range(SIZES[p]) for p in plates)))


def bits(sites):
    return sum(len(elements(plates)) for plates, _ in sites[:-1])


def program(sites):
    """The text: bernoulli sites with logits linear in their parents, the last a normal that is observed."""
    lines, data = [], {}
    for number, (plates, parents) in enumerate(sites):
        terms = ["0.2"]
        for parent, coefficient, table in parents:
            index = ", ".join(sites[parent][0])
            if table is not None:
                data[f"t{number}_{parent}"] = np.array(table)
                lines.insert(0, f"data t{number}_{parent}: int[{SIZES[plates]}]")
                index = f"t{number}_{parent}[{plates}]"
            terms.append(f"{coefficient} * x{parent}" + (f"[{index}]" if index else ""))
        last = number == len(sites) - 1
        shape = ", ".join(str(SIZES[p]) for p in plates)
        name = ("y" if last else f"x{number}") + (f"[{', '.join(plates)}]" if plates else "")
        right = f"normal({' + '.join(terms)}, 1)" if last else f"bernoulli(logits = {' + '.join(terms)})"
        if last:
            lines.insert(0, f"data y: real[{shape}]" if shape else "data y: real")
            data["y"] = np.linspace(-1, 2, len(elements(plates))).reshape([SIZES[p] for p in plates])
        lines += [f"plate {p} in {SIZES[p]} {{" for p in plates] + [f"{name} ~ {right}"] + ["}"] * len(plates)
    return "\n".join(lines), data


def joint(sites, x, y):
    """`x[number][element]`."""
    total = 0.0
    for number, (plates, parents) in enumerate(sites):
        for element in elements(plates):
            at = dict(zip(plates, element, strict=True))
            linear = 0.2
            for parent, coefficient, table in parents:
                read = (table[element[0]],) if table is not None else tuple(at[p] for p in sites[parent][0])
                linear += coefficient * x[parent][read]
            if number == len(sites) - 1:
                total += -0.5 * (y[element] - linear) ** 2 - 0.5 * math.log(2 * math.pi)
            else:
                total += -math.log1p(math.exp(linear if x[number][element] == 0 else -linear))
    return total


def brute_force(sites, y):
    """Every configuration of the latents, and their log weights."""
    keys = [(number, e) for number, (plates, _) in enumerate(sites[:-1]) for e in elements(plates)]
    configurations = []
    for states in itertools.product((0, 1), repeat=len(keys)):
        x: dict = {}
        for (number, element), state in zip(keys, states, strict=True):
            x.setdefault(number, {})[element] = state
        configurations.append(x)
    return configurations, np.array([joint(sites, x, y) for x in configurations])


@settings(max_examples=60)
@given(models())
def test_sum_and_marginals(sites):
    if bits(sites) > MOST_BITS:
        return
    text, data = program(sites)
    bound = parse(text).bind(data)
    plan = bound.plan()
    refused = {site.name for site in plan.scored}
    if refused:
        assert {w.code for w in plan.warnings} == {"W402"}
        assert any(table is not None for _, parents in sites for *_, table in parents) or crossing(sites)
        return
    configurations, log_weights = brute_force(sites, data["y"])
    exact = logsumexp(log_weights)
    assert abs(parse(text).log_density({}, data) - exact) < 1e-10
    weights = np.exp(log_weights - exact)
    for name, found in enumerated_marginals(plan, bound.data, {}, 1).items():
        number = int(name[1:])
        for element in elements(sites[number][0]):
            one = sum(w for w, x in zip(weights, configurations, strict=True) if x[number][element])
            assert abs(found[0][element][1] - one) < 1e-10


def crossing(sites):
    """Whether plates of the model cross: only then, or with look-ups, may a site be refused."""
    return any("k" in plates for plates, _ in sites) and any("i" in plates for plates, _ in sites)
