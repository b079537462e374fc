"""Random small models as texts of the language, for tests of what must hold of every model."""

from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

SIZES = {"i": 2, "j": 3, "k": 2}
PLATES = ("", "i", "ij", "k")
"""Nested plates: j lies in i; k stands beside them."""
COEFFICIENTS = (-1.3, -0.4, 0.7)
FAMILIES = {
    "normal": ("normal({loc}, exp(0.3 * {loc}))", "real"),
    "student": ("student_t(4, {loc}, 1.5)", "real"),
    "gamma": ("gamma(exp({loc}), 2)", "real(lower=0)"),
    "half_normal": ("half_normal(exp({loc}))", "real(lower=0)"),
    "beta": ("beta(1.5, exp({loc}))", "real(lower=0, upper=1)"),
    "flat": ("flat()", ""),
    "bernoulli": ("bernoulli(logits = {loc})", "bool"),
    "poisson": ("poisson(log_rate = {loc})", "int(lower=0)"),
    "categorical": ("categorical([expit({loc}), 1 - expit({loc})])", ""),
}
"""The right side of a statement with a real number `loc` in it, and the type of data observed from it."""
OTHERS = ("deterministic", "factor", "param")
AS_DATA = {"bernoulli": lambda x: x > 0.5, "poisson": lambda x: np.round(3 * x).astype(int)}
MOST_STATES = 500


@dataclass
class RandomProgram:
    """The text with its data. `states` counts the joint states of the discrete finite latents."""

    heads: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    data: dict = field(default_factory=dict)
    readable: list[tuple[str, str]] = field(default_factory=list)
    states: int = 1

    @property
    def text(self):
        return "\n".join([*self.heads, *self.lines]) + "\n"

    def put(self, plates, line):
        opened = "".join(f"plate {p} in {SIZES[p]} {{\n" for p in plates)
        self.lines.append(f"{opened}{line}{chr(10) + '}' if plates else ''}" + "\n}" * (len(plates) - 1))


def subscripted(name, index):
    return f"{name}[{', '.join(index)}]" if index else name


@st.composite
def random_programs(draw):
    """Up to seven statements that read earlier ones by shared plates, by position, or as whole arrays."""
    program = RandomProgram()
    for number in range(draw(st.integers(2, 7))):
        plates = draw(st.sampled_from(PLATES))
        kind = draw(st.sampled_from([*FAMILIES, *OTHERS]))
        name = f"x{number}"
        if kind in FAMILIES:
            _site(draw, program, kind, number, plates)
        elif kind == "param":
            program.lines.append(f"param {name}: real(lower=0) = 0.7")
            program.readable.append((name, ""))
        else:
            left = subscripted(name, plates) if kind == "deterministic" else f"factor {subscripted(name, plates)}"
            program.put(plates, f"{left} = {_location(draw, program, number, plates)}")
            program.readable += [(name, plates)] if kind == "deterministic" else []
    return program


def _site(draw, program, kind, number, plates):
    """A site, latent or observed; none where the discrete latents would have too many states."""
    right, observable = FAMILIES[kind]
    name, shape = f"x{number}", tuple(SIZES[p] for p in plates)
    states = {"bernoulli": 2, "categorical": 2}.get(kind, 1) ** int(np.prod(shape))
    observed = bool(observable) and draw(st.booleans())
    if not observed and program.states * states > MOST_STATES:
        return
    loc = _location(draw, program, number, plates) if "{loc}" in right else ""
    if observed:
        size = f"[{', '.join(map(str, shape))}]" if shape else ""
        program.heads.append(f"data {name}: {observable}{size}")
        program.data[name] = AS_DATA.get(kind, np.asarray)(np.linspace(0.2, 0.8, int(np.prod(shape))).reshape(shape))
    else:
        program.states *= states
        program.readable.append((name, plates))
    program.put(plates, f"{subscripted(name, plates)} ~ {right.format(loc=loc)}")


def _location(draw, program, number, plates):
    """A real number for each element of the plates."""
    terms = ["0.2"]
    for name, above in program.readable:
        ways = ["shared"] * (set(above) <= set(plates))
        ways += ["position"] * (len(above) == 1 and len(plates) == 1)
        ways += ["whole"] * (len(above) == 1 and above not in plates)
        if not ways or not draw(st.booleans()):
            continue
        way, coefficient = draw(st.sampled_from(ways)), draw(st.sampled_from(COEFFICIENTS))
        if way == "whole":
            terms.append(f"{coefficient} * mean({name})")
            continue
        index = list(above)
        if way == "position":
            table = f"t{number}_{name}"
            program.data[table] = np.array([draw(st.integers(0, SIZES[above] - 1)) for _ in range(SIZES[plates])])
            program.heads.append(f"data {table}: int[{SIZES[plates]}]")
            index = [f"{table}[{plates}]"]
        terms.append(f"{coefficient} * {subscripted(name, index)}")
    return f"({' + '.join(terms)})"
