"""The progress bar of a fit: shown on a terminal unless switched off."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any


class Progress:
    """A tqdm bar on standard error with the ELBO beside it; silent where `show` is False or None without a terminal."""

    def __init__(self, show: bool | None = None, every: int = 50) -> None:
        self._every = every
        self._bar: Any = None
        if show or (show is None and sys.stderr.isatty()):
            from tqdm import tqdm

            self._bar = tqdm(unit="step", leave=False, file=sys.stderr)

    def expect(self, steps: int) -> None:
        """At most this many steps are to come."""
        if self._bar is not None:
            self._bar.reset(total=steps)

    def update(self, step: int, elbo: float) -> None:
        if self._bar is not None and step % self._every == 0:
            self._bar.set_postfix_str(f"ELBO {elbo:.2f}", refresh=False)
            self._bar.update(self._every)

    def say(self, text: str) -> None:
        """Name the stage a fit is in."""
        if self._bar is not None:
            self._bar.set_description(text)

    @contextmanager
    def reading(self, rows: int) -> Iterator[Callable[[int], None]]:
        """While that many rows are read: a function to be told of each block how many it had."""
        if self._bar is None:
            yield lambda count: None
            return
        self._bar.unit = "row"
        self._bar.set_description("reading rows")
        self._bar.reset(total=rows)
        yield self._bar.update
        self._bar.unit, self._bar.total = "step", None
        self._bar.reset()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
