"""What each command does, given its options. Each returns the exit code."""

from __future__ import annotations

import argparse
import sys
import textwrap
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ppl.cli.data import read_data
from ppl.cli.files import Problem, check_folder, read_model, read_text
from ppl.errors import UncertainFitWarning

if TYPE_CHECKING:
    from ppl.model.plan import Plan
    from ppl.posterior import Fit, Summary
    from ppl.posterior.run import Run
    from ppl.program import Program


def check(arguments: argparse.Namespace) -> int:
    """Report every error in the model and, where data are given, in them."""
    program = read_model(arguments.model)
    if arguments.data is not None:
        _plan(program, arguments)
    print(f"{arguments.model}: no errors")
    return 0


def _plan(program: Program, arguments: argparse.Namespace) -> Plan:
    """The plan for the data of the command, its warnings printed."""
    plan = program.bind(read_data(arguments), arguments.base).plan()
    _warn([warning.render() for warning in plan.warnings])
    return plan


def explain(arguments: argparse.Namespace) -> int:
    """The plan, the guide and, where asked for, the code."""
    from ppl.inference import explain as explanation

    bound = read_model(arguments.model).bind(read_data(arguments), arguments.base)
    plan = bound.plan()
    _warn([warning.render() for warning in plan.warnings])
    data, staged = (bound.data if wanted else None for wanted in (arguments.measure, arguments.code))
    text = explanation.explain(plan, arguments.guide, arguments.code, None, data, arguments.method, staged)
    print(text, end="")
    return 0


def fit(arguments: argparse.Namespace) -> int:
    """Fit, print the table and the verdict, write what was asked for."""
    from ppl.posterior import write_json

    for path in (arguments.summary, arguments.out):
        check_folder(path)
    program, data = read_model(arguments.model), read_data(arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UncertainFitWarning)  # the verdict below says it better
        fitted = program.fit(data, base=arguments.base, draws=arguments.draws, **_how_to_fit(arguments))
    _warn(fitted.run.warnings)
    summary = fitted.summary()
    print(_report(fitted, summary))
    if arguments.summary is not None:
        write_json(arguments.summary, summary.to_dict())
    if arguments.out is not None:
        fitted.save(arguments.out)
    return 0


OPTIONS = (
    "seconds", "rank", "components", "layers", "hidden",
    "steps", "objective", "alpha", "baseline", "gradient_draws", "optimiser", "schedule", "rate", "param_rate",
    "net_rate", "warmup", "clip", "average", "stop", "window", "checkpoint", "every",
)  # fmt: skip
"""Of a fit, of a family of guides and of a stochastic fit, which are handed on where they are given."""


def _how_to_fit(arguments: argparse.Namespace) -> dict[str, Any]:
    options = {name: value for name in OPTIONS if (value := getattr(arguments, name, None)) is not None}
    progress = False if arguments.no_progress else None
    chosen = {name: getattr(arguments, name) for name in ("guide", "method", "backend", "seed")}
    return {**chosen, "progress": progress, **options}


def calibrate(arguments: argparse.Namespace) -> int:
    """Fit data from the prior, print what the ranks of the truth say; exit 1 where they, or a fit, are wrong."""
    calibration = read_model(arguments.model).calibrate(
        read_data(arguments), n=arguments.fits, base=arguments.base, draws=arguments.draws,
        names=arguments.names, cores=arguments.cores, **_how_to_fit(arguments),
    )  # fmt: skip
    print(calibration)
    return 0 if calibration.passed else 1


def _report(fitted: Fit, summary: Summary) -> str:
    run = fitted.run
    table = str(summary) if len(summary) else "nothing is unknown in this model"
    verdict = textwrap.fill(str(run.verdict), 110)
    return "\n".join([table, "", _evidence(run), _how(run), *_tried(run), *run.notes, verdict])


def _tried(run: Run) -> list[str]:
    """What every method came to, where several were tried."""
    return ["tried:", *(f"  {rung}" for rung in run.rungs)] if len(run.rungs) > 1 else []


def _evidence(run: Run) -> str:
    """The bound and the estimate of the log evidence, in nats."""
    if run.method == "exact" and run.log_evidence is not None:
        return f"log evidence {run.log_evidence:.2f} (exact)"
    estimate = "" if run.log_evidence is None else f", log evidence {_nats(run.log_evidence)}"
    error = f" ± {_nats(run.elbo_mcse)}" if run.elbo_mcse else " (no draws needed)"
    return f"ELBO {_nats(run.elbo)}{error}{estimate}"


def _nats(value: float) -> str:
    """Two decimals, without a sign before nothing but zeros; an exponent where the number is beyond reading."""
    return f"{value:.3g}" if abs(value) > 1e9 else f"{value:.2f}".replace("-0.00", "0.00")


def _how(run: Run) -> str:
    """By what the fit was made, and what it cost. Adam's steps each take several Monte Carlo draws."""
    if run.method == "exact":
        return f"exact enumeration, {run.seconds:.1f} s"
    unit = {**dict.fromkeys(("adam", "adagrad", "rmsprop", "sgd", "svi"), "step"), "cavi": "sweep"}.get(
        run.method, "gradient"
    )
    sampled = run.method.startswith("conditional") or run.method in ("hamiltonian", "cavi", "svi")
    own = run.method.replace(" ", "_") == run.guide
    guide = "" if sampled or own else f"{run.guide} guide, "
    method = run.method.replace("conditional", "conditional guide").replace("hamiltonian", "Hamiltonian Monte Carlo")
    method += " guide" * own
    return f"{guide}{method}, {run.steps} {unit}{'s' * (run.steps != 1)}, {run.seconds:.1f} s"


def predict(arguments: argparse.Namespace) -> int:
    """A table of posterior predictions."""
    from ppl.posterior import write_json
    from ppl.program import load_fit

    check_folder(arguments.out)
    fitted = load_fit(arguments.fit, read_model(arguments.model) if arguments.model else None)
    data, how = read_data(arguments), (arguments.draws, arguments.seed, arguments.base, arguments.raw)
    predicted = fitted.predictive(data, *how)
    summary = predicted.summary()
    print(summary)
    if arguments.out is not None:
        write_json(arguments.out, summary.to_dict())
    return 0


def graph(arguments: argparse.Namespace) -> int:
    """The dependency graph as DOT."""
    from ppl.model.graph import dot_text
    from ppl.posterior import replacing

    out = arguments.out
    if out is not None and out.suffix not in ("", ".dot", ".gv"):
        dot = out.with_suffix(".dot")
        raise Problem(f"{out}: only DOT is written; use `-o {dot}` and then `dot -T{out.suffix[1:]} {dot} -o {out}`")
    check_folder(out)
    text = dot_text(read_model(arguments.model).graph(read_data(arguments), arguments.base))
    if out is None:
        print(text, end="")
    else:
        with replacing(out) as file:
            file.write(text.encode())
    return 0


def fmt(arguments: argparse.Namespace) -> int:
    """Canonical layout, in place."""
    from ppl.language import format_source
    from ppl.posterior import replacing
    from ppl.source import Source

    changed = []
    for path in arguments.models:
        text = read_text(path)
        formatted = format_source(Source(str(path), text))
        if formatted != text:
            changed.append(path)
            if not arguments.check:
                with replacing(path) as file:
                    file.write(formatted.encode())
    for path in changed:
        print(f"{path}: {'would change' if arguments.check else 'formatted'}")
    return 1 if arguments.check and changed else 0


def show(arguments: argparse.Namespace) -> int:
    """The members of a registry, one a line."""
    rows = LISTS[arguments.kind]()
    width = min(max(len(name) for name, _ in rows), 44)
    for name, doc in rows:
        print(f"{name.ljust(width)}  {doc.strip().splitlines()[0]}")
    return 0


def _distributions() -> list[tuple[str, str]]:
    from ppl.distributions import DISTRIBUTIONS
    from ppl.model.uses import signature_text

    return [(signature_text(family), family.doc) for family in DISTRIBUTIONS.values()]


def _functions() -> list[tuple[str, str]]:
    from ppl.functions import FUNCTIONS

    return [(f"{each.name}({', '.join((*each.parameters, *each.static))})", each.doc) for each in FUNCTIONS.values()]


def _guides() -> list[tuple[str, str]]:
    from ppl.guides import GUIDES

    chosen = [
        ("auto", "Chosen for the model: conditional, full_rank, or low_rank where there are very many unknowns."),
        ("conditional", "For hierarchical models: the hyperparameters first, then a Gaussian of the rest given them."),
    ]
    return chosen + [(guide.name, guide.doc + _defaults(guide.options)) for guide in GUIDES.values()]


def _defaults(options: Mapping[str, int]) -> str:
    """` Options: rank=5.`"""
    return f" Options: {', '.join(f'{name}={value}' for name, value in options.items())}." if options else ""


def _factors() -> list[tuple[str, str]]:
    from ppl.compiler.factors import FACTOR_FAMILIES

    return [
        (family.name, f"For sites on {' or '.join(family.supports)}; {family.distribution.reparameterised} gradients.")
        for family in FACTOR_FAMILIES.values()
    ]


def _objectives() -> list[tuple[str, str]]:
    from ppl.objectives import OBJECTIVES

    return [(kind.name, kind.doc) for kind in OBJECTIVES.values()]


def _optimisers() -> list[tuple[str, str]]:
    from ppl.inference.stochastic.optimisers import LBFGS, LBFGS_DOC, OPTIMISERS

    return [*((each.name, each.doc) for each in OPTIMISERS.values()), (LBFGS, LBFGS_DOC)]


def _schedules() -> list[tuple[str, str]]:
    from ppl.inference.stochastic.schedules import SCHEDULES

    return [(each.name, each.doc) for each in SCHEDULES.values()]


def _supports() -> list[tuple[str, str]]:
    from ppl.constraints import SUPPORTS

    return [(support.name, support.describe.format(*support.arguments)) for support in SUPPORTS.values()]


LISTS: Mapping[str, Callable[[], list[tuple[str, str]]]] = {
    "distributions": _distributions, "factors": _factors, "functions": _functions, "guides": _guides,
    "objectives": _objectives, "optimisers": _optimisers, "schedules": _schedules, "supports": _supports,
}  # fmt: skip


def _warn(found: Sequence[str]) -> None:
    for warning in found:
        print(warning, file=sys.stderr)
