"""The commands and their options."""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Callable
from typing import Any

from ppl import __version__
from ppl.cli import commands as run

MODEL_HELP = "a .ppl file, or a Python file with one @ppl.model (FILE.py:NAME picks one of several)"


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; parsed arguments have `run`, the function of their command."""
    whole = argparse.ArgumentParser(prog="ppl", description="Probabilistic models, fitted by variational inference.")
    whole.add_argument("--version", action="version", version=f"ppl {__version__}")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")

    check = _command(commands, "check", run.check, "report every error in a model, and in its data")
    _model_and_data(check, required=False)

    explain = _command(commands, "explain", run.explain, "show what is done with every site, and the derived guide")
    _model_and_data(explain)
    _guide(explain)
    explain.add_argument("--method", default="auto", help="with cavi: which sites have closed-form updates, or why not")
    explain.add_argument("--measure", action="store_true", help="measure every estimator that each site could have")
    explain.add_argument("--code", action="store_true", help="show the generated density and its staged gradient too")

    _fit_options(_command(commands, "fit", run.fit, "fit a model to data"))
    _calibrate_options(
        _command(commands, "calibrate", run.calibrate, "fit data from the prior: are the answers right?")
    )
    _predict_options(_command(commands, "predict", run.predict, "posterior predictions for new data"))

    graph = _command(commands, "graph", run.graph, "the dependency graph in the DOT language of Graphviz")
    _model_and_data(graph)
    graph.add_argument("-o", "--out", metavar="OUT.dot", type=pathlib.Path, help="write to a file instead of printing")

    fmt = _command(commands, "fmt", run.fmt, "lay out models canonically, in place")
    fmt.add_argument("models", metavar="MODEL", type=pathlib.Path, nargs="+", help="a .ppl file")
    fmt.add_argument("--check", action="store_true", help="change nothing; exit 1 where something would change")

    show = _command(commands, "list", run.show, "what there is")
    show.add_argument("kind", choices=sorted(run.LISTS))
    return whole


def _fit_options(fit: argparse.ArgumentParser) -> None:
    _model_and_data(fit)
    _how_to_fit(fit)
    fit.add_argument(
        "--checkpoint", metavar="FILE", help="write a stochastic fit down as it goes, and go on from there"
    )
    fit.add_argument("--every", type=float, metavar="MINUTES", help="between checkpoints (default: 5)")
    fit.add_argument("--draws", type=_whole(1), default=4000, help="posterior draws to keep (default: 4000)")
    fit.add_argument("--summary", metavar="OUT.json", type=pathlib.Path, help="write means, sds and quantiles as JSON")
    fit.add_argument("--out", metavar="FIT", type=pathlib.Path, help="keep the fit in a file, for `ppl predict`")


def _how_to_fit(parser: argparse.ArgumentParser) -> None:
    _guide(parser)
    parser.add_argument(
        "--method", default="auto", help="auto, deterministic, stochastic, cavi, svi, … (default: auto)"
    )
    parser.add_argument("--seconds", type=float, help="after which a fit ends with the best it has (default: about 60)")
    parser.add_argument(
        "--rank", type=_whole(1), help="of the guide low_rank: columns beside the diagonal (default: 5)"
    )
    parser.add_argument("--components", type=_whole(1), help="of the guide mixture: Gaussians (default: 2)")
    parser.add_argument("--layers", type=_whole(1), help="of the guide flow: coupling layers (default: 4)")
    parser.add_argument("--hidden", type=_whole(1), help="of the guide flow: units in each (default: 16)")
    parser.add_argument(
        "--backend", default="autograd", help="autograd, or jax where it is installed (default: autograd)"
    )
    _stochastic(parser.add_argument_group("stochastic fits"))
    parser.add_argument("--seed", type=_whole(0), default=0, help="equal seeds give equal results (default: 0)")
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")


def _stochastic(group: Any) -> None:
    """Options of `method="stochastic"`, under their names in Python."""
    group.add_argument("--steps", type=_whole(1), help="at most so many (default: 20000, or 40 windows)")
    group.add_argument("--objective", help="what is maximised: see `ppl list objectives` (default: elbo)")
    group.add_argument("--alpha", type=float, help="order of the objective renyi (default: 0.5)")
    group.add_argument("--baseline", help="of scored sites: leave_one_out, learned or none (default: leave_one_out)")
    group.add_argument("--gradient-draws", type=_whole(1), metavar="DRAWS", help="in each gradient (default: 10)")
    group.add_argument("--optimiser", help="see `ppl list optimisers` (default: adam)")
    group.add_argument("--schedule", help="of the step size: see `ppl list schedules` (default: staged)")
    group.add_argument("--rate", type=float, help="first step size (default: the optimiser's own)")
    group.add_argument("--param-rate", type=float, metavar="RATE", help="that of learned parameters (default: RATE)")
    group.add_argument("--net-rate", type=float, metavar="RATE", help="that of weights of networks (default: 0.002)")
    group.add_argument("--warmup", type=_whole(0), metavar="STEPS", help="over which the step size rises (default: 0)")
    group.add_argument("--clip", type=float, metavar="LENGTH", help="to which gradients are cut (default: 10000)")
    group.add_argument(
        "--no-average", dest="average", action="store_const", const=False, help="take the last parameters, not a mean"
    )
    group.add_argument("--stop", help="what ends a stage: elbo or iterates (default: elbo; iterates for small batches)")
    group.add_argument("--window", type=_whole(1), metavar="STEPS", help="of the convergence check (default: 500)")


def _calibrate_options(calibrate: argparse.ArgumentParser) -> None:
    calibrate.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    _data(calibrate, "a JSON object; outcomes may be left out, of those given the shape is used", required=True)
    _base(calibrate)
    calibrate.add_argument("-n", "--fits", type=_whole(1), default=100, help="how many fits (default: 100)")
    calibrate.add_argument("--draws", type=_whole(1), default=200, help="draws to rank among (default: 200)")
    calibrate.add_argument("--names", nargs="+", metavar="NAME", help="what to look at (default: every unknown)")
    calibrate.add_argument("--cores", type=_whole(1), default=1, help="processes to share the fits (default: 1)")
    _how_to_fit(calibrate)


def _predict_options(predict: argparse.ArgumentParser) -> None:
    predict.add_argument("fit", metavar="FIT", type=pathlib.Path, help="a file written by `ppl fit --out`")
    _data(predict, "a JSON object; outcomes may be left out", required=True)
    predict.add_argument("--base", type=int, choices=(0, 1), help="what index data count from (default: as in the fit)")
    predict.add_argument("--model", metavar="MODEL", help="the model, where it was fitted as a Python function")
    predict.add_argument("--draws", type=_whole(1), help="predictive draws (default: as many as the fit has)")
    predict.add_argument("--seed", type=_whole(0), default=0, help="equal seeds give equal results (default: 0)")
    predict.add_argument("--raw", action="store_true", help="of a mean-field fit, predict from its uncorrected draws")
    predict.add_argument("--out", metavar="OUT.json", type=pathlib.Path, help="write the table as JSON")


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], description: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=description, description=description.capitalize())
    parser.set_defaults(run=run)
    return parser


def _model_and_data(parser: argparse.ArgumentParser, required: bool = True) -> None:
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    _data(parser, "a JSON object; null is a missing value", required)
    _base(parser)


def _base(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--base", type=int, choices=(0, 1), default=0, help="what index data count from (default: 0)")


def _data(parser: argparse.ArgumentParser, what: str, required: bool) -> None:
    files = "or rows in FILE.parquet, FILE.csv or [NAME=]FILE.npy; may be given several times"
    parser.add_argument("--data", metavar="DATA.json", action="append", required=required, help=f"{what}; {files}")
    parser.add_argument(
        "--column",
        metavar="NAME=COLUMN[,COLUMN…]",
        action="append",
        help="what a column, or several side by side, is called",
    )
    parser.add_argument(
        "--stream", action="store_true", help="read rows as they are needed: once where statistics stand for them"
    )


def _guide(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--guide", default="auto", help="see `ppl list guides` (default: auto)")


def _whole(least: int) -> Callable[[str], int]:
    def whole_number(text: str) -> int:
        number = int(text)
        if number < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}")
        return number

    return whole_number
