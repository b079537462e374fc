"""Inputs nobody would write, for the parser, the binder and the way from there to a log density.

Each entry of `GENERATORS` is a hypothesis strategy and what is done with its values; the answer is whether the input
was accepted. A `PPLError` is a proper refusal; anything else that comes out is a fault.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from language.corpus import FOLDER, PROGRAMS
from language.densities import CASES

import ppl
from ppl.constraints import SUPPORTS
from ppl.distributions import DISTRIBUTIONS
from ppl.errors import PPLError
from ppl.functions import FUNCTIONS
from ppl.language import check, format_source
from ppl.language.order import ordered
from ppl.language.vocabulary import COMBINATORS, FORMS
from ppl.numeric import NUMPY
from ppl.source import Source

WORDS = """
data plate scan in if else and or not predict def model use from net param factor return missing for
x y z n t N real int index normal exp sum truncated logpdf 0 1 2.5 1e3 -> <- ** // == <= target
"""
TOKENS = [*"()[]{}~=<>+-*/^@%,:;.\n# \"'|&!", *WORDS.split(), "plate n in N {", "x[n] ~ normal(0, 1)"]
VALUES = ["0", "1", "-1", "2.5", "1e9", "N", "n", "not", *FUNCTIONS, *DISTRIBUTIONS, *COMBINATORS, *sorted(FORMS)]
PIECE = re.compile(r"\s+|#[^\n]*|\w+(?:\.\d+)?|[^\w\s]")
NESTING = ["(", "[", "-", "f(", "not ", "a if b else ", "2^", "x[", "a+", "plate i in 2 {\n"]


# Programs ------------------------------------------------------------------------------------------


def refused(work, *arguments):
    """Whether `work` raised a `PPLError`; its records must point into their text."""
    try:
        work(*arguments)
    except PPLError as error:
        records = error.diagnostics
    else:
        return False
    assert records
    for record in records:
        assert record.code in record.render()
        if record.span is not None:
            assert 0 <= record.span.start <= record.span.end <= len(record.span.source.text)
    return True


def front_end(text):
    """Parse, check, order, format twice."""
    source = Source("fuzz.ppl", text)
    if refused(check, source):
        return False
    ordered(check(source))
    once = format_source(source)
    assert format_source(Source("again.ppl", once)) == once
    return True


@st.composite
def mutated(draw, texts):
    """One of the texts with a piece cut out and something put in, up to three times."""
    program = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(program)))
        end = min(len(program), start + draw(st.integers(0, 12)))
        program = program[:start] + draw(st.sampled_from(["", *TOKENS])) + program[end:]
    return program


@st.composite
def nested(draw):
    opening, depth = draw(st.sampled_from(NESTING)), draw(st.integers(0, 400))
    closing = {"(": ")", "[": "]", "f(": ")", "x[": "]", "plate i in 2 {\n": "\n}"}.get(opening, "")
    start, body = ("", "y = 1") if opening.startswith("plate") else ("y = ", "1")
    return start + opening * depth + body + closing * depth


# Data ----------------------------------------------------------------------------------------------

NAMES = [name for name in CASES if name not in ("vae",)]
DATA: dict[str, dict[str, Any]] = {name: CASES[name]()[0] for name in NAMES}
NUMBERS = st.one_of(
    st.integers(-3, 6),
    st.integers(),
    st.floats(),
    st.sampled_from([0, 1, -1, 2.5, 1e308, -1e308, 1e-320, 2**53 + 1, 2**63, 10**9, 10**18, 10**400]),
)
SCALARS = st.one_of(NUMBERS, st.none(), st.booleans(), st.text(max_size=5), st.just("1"), st.just("NaN"))
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
)
SHAPES = st.lists(st.integers(0, 4), max_size=3)
ARRAYS = st.builds(
    lambda shape, seed, kind: np.random.default_rng(seed).integers(-1, 4, shape).astype(kind),
    SHAPES,
    st.integers(0, 99),
    st.sampled_from(["i8", "f8", "u1", "?", "f4", "c8", "O", "U3", "M8[D]", "f8"]),
)


@st.composite
def any_json(draw):
    """Any value for each declared name, or none; by way of JSON where it can be."""
    name = draw(st.sampled_from(NAMES))
    data = {key: draw(ANYTHING) for key in DATA[name] if draw(st.integers(0, 9))}
    if draw(st.booleans()):
        data = json.loads(json.dumps(data))
    return name, data


@st.composite
def damaged(draw, names):
    """Good data of which one to three values, elements or shapes are changed."""
    name = draw(st.sampled_from(names))
    data = dict(DATA[name])
    for _ in range(draw(st.integers(1, 3))):
        key = draw(st.sampled_from(sorted(data)))
        data[key] = draw(CHANGES)(draw, data[key])
    return name, data


def array_of(value):
    """An array of a value; of one that is no array, of itself."""
    try:
        return np.asarray(value)
    except ValueError:
        return np.array(str(value))


def _other(draw, value):
    return draw(st.one_of(ANYTHING, ARRAYS))


def _element(draw, value):
    """One element anywhere changed."""
    array = array_of(value).astype(object)
    if array.ndim == 0 or array.size == 0:
        return draw(NUMBERS)
    array.flat[draw(st.integers(0, array.size - 1))] = draw(SCALARS)
    return array.tolist() if draw(st.booleans()) else array


def _reshaped(draw, value):
    array = array_of(value)
    choices = [array[None], array[..., None], array.T, array.reshape(-1), array[:0] if array.ndim else array]
    return draw(st.sampled_from(choices))


def _masked(draw, value):
    return np.ma.array(array_of(value), mask=draw(st.booleans()))


def _scaled(draw, value):
    """Numbers stretched; where there are others, themselves."""
    array = array_of(value)
    factor = draw(st.sampled_from([-1, 0, 1e300, float("nan"), 0.5]))
    return array.astype(float) * factor if array.dtype.kind in "biuf" else value


CHANGES = st.sampled_from([_other, _element, _element, _reshaped, _masked, _scaled])


# From data to a log density -------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """A program's text and data, with the seed of the point."""

    name: str
    text: str
    data: Any
    seed: int = 0

    def program(self):
        return ppl.parse(self.text, str(Path(FOLDER) / f"{self.name}.ppl"))


def point(bound, seed):
    """A value for every continuous latent: a random member of its support, or any number where that has arguments."""
    rng = np.random.default_rng(seed)
    values = {}
    for site in bound.model.latents:
        support = SUPPORTS[site.support.name]
        if support.discrete:
            continue
        values[site.name] = rng.standard_normal(site.shape)
        if support.bijection is not None and not support.arguments:
            event = site.shape[len(site.shape) - support.event_rank :]
            free = site.shape[: len(site.shape) - support.event_rank] + support.bijection.unconstrained(event)
            values[site.name] = support.bijection.forward(NUMPY, rng.standard_normal(free), *support.arguments)
    return values


def to_log_density(asked):
    """Parse, bind, plan, and evaluate at a random point."""
    if refused(asked.program):
        return False
    program = asked.program()
    if refused(program.bind, asked.data):
        return False
    bound = program.bind(asked.data)
    planned = not refused(bound.plan)
    return not refused(program.log_density, point(bound, asked.seed), asked.data) and planned


def without_notes(name):
    """The programs with the notes taken out that would stop them at the door."""
    lines = PROGRAMS[name].splitlines(keepends=True)
    return "".join(line for line in lines if not line.lstrip().startswith(("@minibatch", "@fullrank", "@amortized")))


def _on_its_program(pair):
    name, data = pair
    return Asked(name, without_notes(name), data)


@st.composite
def mutated_with_data(draw):
    """A mutated program with good data, or with damaged ones."""
    name = draw(st.sampled_from(NAMES))
    text = draw(mutated((without_notes(name),)))
    data = DATA[name] if draw(st.booleans()) else draw(damaged((name,)))[1]
    return Asked(name, text, data, draw(st.integers(0, 99)))


@st.composite
def exchanged(draw):
    """A program in which a name, number, operator or call stands where another of the program stood."""
    name = draw(st.sampled_from(NAMES))
    text = without_notes(name)
    pieces = PIECE.findall(text)
    words = [place for place, piece in enumerate(pieces) if piece.strip() and piece not in "\n{}"]
    for _ in range(draw(st.integers(1, 3))):
        pieces[draw(st.sampled_from(words))] = draw(st.sampled_from([*[pieces[w] for w in words], *VALUES]))
    return Asked(name, "".join(pieces), DATA[name], draw(st.integers(0, 99)))


GENERATORS = {
    "random text": (st.text(max_size=80), front_end),
    "random tokens": (st.lists(st.sampled_from(TOKENS), max_size=40).map(" ".join), front_end),
    "mutated programs": (mutated(sorted(PROGRAMS.values())), front_end),
    "deep nesting": (nested(), front_end),
    "random JSON": (any_json().map(_on_its_program), to_log_density),
    "damaged data": (damaged(NAMES).map(_on_its_program), to_log_density),
    "mutated programs with data": (mutated_with_data(), to_log_density),
    "exchanged words with data": (exchanged(), to_log_density),
}
