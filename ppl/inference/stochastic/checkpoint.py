"""Checkpoints: a stochastic fit written to a file every few minutes, from which an equal fit goes on bit for bit."""

from __future__ import annotations

import json
import pathlib
import time
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from ppl.errors import InferenceError
from ppl.guides import Guide
from ppl.inference.stochastic.descent import Descent, NoCheckpoints
from ppl.inference.stochastic.optimisers import State
from ppl.inference.stochastic.options import StochasticOptions, options_without_files
from ppl.inference.stochastic.stages import Run
from ppl.model.text import model_text
from ppl.streams.writing import replacing

FORMAT = 2
MOST_BYTES = 1 << 26
"""Of an array that are looked at to tell whether data are the same; larger ones by rows in between."""
_BROKEN = (zipfile.BadZipFile, zlib.error, KeyError, ValueError, TypeError, EOFError)


class Checkpoints(NoCheckpoints):
    """The file of one fit. `identity` tells fits apart that must not go on from each other."""

    def __init__(self, path: pathlib.Path, minutes: float, identity: Mapping[str, Any]) -> None:
        self._path, self._seconds, self._identity = path, 60.0 * minutes, dict(identity)
        self._last = time.monotonic()

    def restored(self, run: Run, descent: Descent) -> Run:
        """Raises InferenceError for a file that is no checkpoint, or one of another fit."""
        if not self._path.exists():
            self.keep(run, descent, force=True)
            return run
        try:
            with np.load(self._path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            record = json.loads(str(arrays.pop("record")))
            if record["format"] != FORMAT:
                raise ValueError("another format")
        except _BROKEN as error:
            raise InferenceError.of(
                "E708", None, f"{self._path} is not a checkpoint, or a damaged one", "delete it to start afresh"
            ) from error
        self._check(record["identity"])
        descent.rng.bit_generator.state = record["rng"]
        descent.batches.restore([{k: arrays[f"batch {i} {k}"] for k in part} for i, part in enumerate(record["parts"])])
        moments = tuple(arrays[f"moment {i}"] for i in range(record["moments"]))
        state = State(arrays["parameters"], moments, arrays["count"])
        anchor = arrays.get("anchor")
        descent.rehearse(state, len(arrays["history"]), record["run"]["anchored"])
        descent.anchor(anchor)
        return Run(
            state, total=arrays["total"], good=arrays["good"], anchor=anchor,
            means=list(arrays["means"]), pieces=list(arrays["pieces"]), mark=arrays["mark"],
            history=arrays["history"].tolist(), **record["run"],
        )  # fmt: skip

    def _check(self, other: Mapping[str, Any]) -> None:
        mine = json.loads(json.dumps(self._identity))
        differing = sorted(name for name in mine.keys() | other.keys() if mine.get(name) != other.get(name))
        if differing:
            found = f"{self._path} is the checkpoint of another fit: {', '.join(differing)} differ"
            raise InferenceError.of("E708", None, found, "delete it, or name another file")

    def keep(self, run: Run, descent: Descent, force: bool = False) -> None:
        if not force and time.monotonic() - self._last < self._seconds:
            return
        parts = descent.batches.state
        record = {
            "format": FORMAT,
            "identity": self._identity,
            "rng": descent.rng.bit_generator.state,
            "parts": [sorted(part) for part in parts],
            "moments": len(run.state.moments),
            "run": {
                n: getattr(run, n)
                for n in ("rate", "floor", "last", "before", "restarts", "notes", "anchored", "stopped", "converged")
            },
        }
        arrays = {f"moment {i}": moment for i, moment in enumerate(run.state.moments)}
        arrays |= {f"batch {i} {name}": array for i, part in enumerate(parts) for name, array in part.items()}
        arrays |= {"parameters": run.state.parameters, "count": run.state.count, "total": run.total, "good": run.good}
        arrays |= {"means": np.reshape(run.means, (len(run.means), len(run.total))), "history": np.array(run.history)}
        arrays |= {"mark": run.mark, "pieces": np.reshape(run.pieces, (len(run.pieces), -1) if run.pieces else (0, 0))}
        arrays |= {} if run.anchor is None else {"anchor": run.anchor}
        with replacing(self._path) as file:
            np.savez(file, record=np.array(json.dumps(record, default=_plain)), **arrays)
        self._last = time.monotonic()


def checkpoints_for(
    options: StochasticOptions, guide: Guide, data: Mapping[str, Any], seed: int, backend: str
) -> NoCheckpoints:
    """The checkpoints that the options ask for."""
    if not options.checkpoint:
        return NoCheckpoints()
    identity = {
        "the model": zlib.crc32(model_text(guide.plan.model).encode()),
        "the guide": [guide.vector.name, guide.parameters.size],
        "the data": {name: _mark(value) for name, value in sorted(data.items())} | _marks_of_columns(guide),
        "the seed": seed,
        "the backend": backend,
        "the options": asdict(options_without_files(options)),
    }
    return Checkpoints(pathlib.Path(options.checkpoint), options.every, identity)


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays as Python has them, without loss."""
    return value.tolist()


def _mark(value: Any) -> Any:
    """A number that tells arrays apart."""
    if not isinstance(value, np.ndarray | int | float):
        return str(type(value).__name__)
    array = np.asarray(value)
    if array.nbytes > MOST_BYTES:
        array = array[:: -(-array.nbytes // MOST_BYTES)]
    return [list(np.shape(value)), zlib.crc32(np.ascontiguousarray(array).tobytes())]


def _marks_of_columns(guide: Guide) -> dict[str, Any]:
    columns = [column for batch in guide.plan.model.batches for column in batch.columns]
    return {c.name: [list(c.shape), c.facts.lowest, c.facts.highest] for c in columns}
