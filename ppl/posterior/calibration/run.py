"""A calibration from beginning to end."""

from __future__ import annotations

from collections.abc import Iterator

from ppl.posterior.calibration.refit import Failure, Refit, Request, Study
from ppl.posterior.calibration.result import Calibration


def calibrate(request: Request, n: int, cores: int = 1, progress: bool | None = None) -> Calibration:
    """`n` fits over so many processes; see `ppl.program.Program.calibrate`."""
    study = Study.of(request)
    return Calibration.of(request.source.name, attempts(study, n, min(cores, n), progress), request.draws, request.seed)


def attempts(study: Study, count: int, cores: int, progress: bool | None) -> Iterator[Refit | Failure]:
    """The fits 0, 1, … in order, over so many processes; with a bar on standard error, as for a fit."""
    from tqdm import tqdm

    hidden = None if progress is None else not progress  # None: shown on a terminal
    with tqdm(total=count, unit="fit", leave=False, disable=hidden) as bar:
        for attempt in _mapped(study, count, cores):
            bar.update()
            yield attempt


def _mapped(study: Study, count: int, cores: int) -> Iterator[Refit | Failure]:
    if cores == 1:
        yield from map(study.attempt, range(count))
        return
    import multiprocessing
    import sys
    from concurrent.futures import ProcessPoolExecutor

    # a forked process has the model as it is; where forking is not safe it is sent there
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    with ProcessPoolExecutor(cores, context, _begin, (study.request,)) as pool:
        yield from pool.map(_attempt, range(count))


_begun: list[Study] = []
"""The study of one of several processes, which sets it up once."""


def _begin(request: Request) -> None:
    _begun[:] = [Study.of(request)]


def _attempt(index: int) -> Refit | Failure:
    return _begun[0].attempt(index)
