"""Saved fits: one zip file with `fit.json` and the arrays in NumPy's format, no pickles, no training data.

`draws/<i>.npy` belongs to the i-th variable of `fit.json`, as does `corrected/<i>.npy` where linear response has draws
too; a variable whose draws are all equal is stored once.
"""

from __future__ import annotations

import json
import pathlib
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from ppl.errors import InferenceError
from ppl.inference.result import Correction, Rung, Verdict
from ppl.posterior.draws import WeightedDraws
from ppl.posterior.files import replacing
from ppl.posterior.fit import Fit
from ppl.posterior.run import Bindable, Run
from ppl.posterior.variables import Variable

FORMAT = "ppl fit"
VERSION = 1

_BROKEN = (zipfile.BadZipFile, zlib.error, KeyError, ValueError, TypeError, EOFError, RuntimeError, AssertionError)


def write_fit(fit: Fit, path: pathlib.Path) -> None:
    """Write `fit` to `path`, which is replaced whole or left alone. Raises OSError."""
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("fit.json", json.dumps(_record(fit), indent=1))
        _write_array(archive, "history", fit.run.history)
        if fit.posterior.log_weights is not None:
            _write_array(archive, "log_weights", fit.posterior.log_weights)
        _write_draws(archive, "draws", fit, fit.posterior)
        if fit.response is not None:
            _write_draws(archive, "corrected", fit, fit.response)


def read_fit(path: pathlib.Path, program: Bindable | None, parse: Callable[[str, str], Bindable]) -> Fit:
    """Read a fit. Its model is `program` or else made from the saved text by `parse(text, name)`.

    Raises InferenceError where the file is not a whole saved fit, OSError where there is none.
    """
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                record = json.loads(archive.read("fit.json"))
                _check_format(path, record)
                posterior = _read_draws(archive, record)
                response = _read_response(archive, record, posterior)
                run = _read_run(archive, record["run"])
            texts = {bool(code): str(record["explanation"][key]) for code, key in ((0, "plan"), (1, "code"))}
            name, text, base = str(record["model"]["name"]), record["model"]["text"], int(record["base"])
            outcomes, local = frozenset(record["outcomes"]), frozenset(record.get("local", ()))
        except _BROKEN as error:
            raise InferenceError.of("E621", None, f"{path} is not a saved fit, or a damaged one") from error
    if program is None and text is not None:
        program = parse(text, name)
    return Fit(name, posterior, run, outcomes, base, program, None, texts.__getitem__, local, response)


def _record(fit: Fit) -> dict[str, Any]:
    program = fit.program
    run = asdict(fit.run)
    del run["history"]
    return {
        "format": FORMAT,
        "version": VERSION,
        "model": {"name": fit.name, "text": program.text if program is not None else None},
        "base": fit.base,
        "outcomes": sorted(fit.outcomes),
        "local": sorted(fit.local),
        "draws": fit.posterior.count,
        "weighted": fit.posterior.log_weights is not None,
        "stored": list(fit.posterior.values),
        "variables": [variable.to_json() for variable in fit.posterior.variables.values()],
        "left_out": dict(fit.posterior.left_out),
        "corrected": fit.response is not None,
        "run": run,
        "explanation": {"plan": fit.explain(False), "code": fit.explain(True)},
    }


def _check_format(path: pathlib.Path, record: dict[str, Any]) -> None:
    if record["format"] != FORMAT:
        raise ValueError("another format")
    if record["version"] != VERSION:
        raise InferenceError.of(
            "E622", None, f"{path} is a saved fit of format {record['version']}, this ppl reads format {VERSION}",
            "read it with the version of ppl that wrote it, or fit again",
        )  # fmt: skip


def _write_draws(archive: zipfile.ZipFile, folder: str, fit: Fit, draws: WeightedDraws) -> None:
    """Some draws of the fit's variables, in the order of `posterior`."""
    for i, name in enumerate(fit.posterior.values):
        array = draws.values[name]
        _write_array(archive, f"{folder}/{i}", array[:1] if array.strides[0] == 0 else array)


def _read_values(
    archive: zipfile.ZipFile, folder: str, record: dict[str, Any], variables: dict[str, Variable]
) -> dict[str, np.ndarray]:
    count = int(record["draws"])
    return {
        name: np.broadcast_to(_read_array(archive, f"{folder}/{i}"), (count, *variables[name].shape))
        for i, name in enumerate(record["stored"])
    }


def _read_response(archive: zipfile.ZipFile, record: dict[str, Any], posterior: WeightedDraws) -> WeightedDraws | None:
    if not record.get("corrected", False):
        return None
    values = _read_values(archive, "corrected", record, dict(posterior.variables))
    return WeightedDraws(posterior.variables, values, None, posterior.left_out)


def _read_draws(archive: zipfile.ZipFile, record: dict[str, Any]) -> WeightedDraws:
    count = int(record["draws"])
    variables = {v.name: v for v in map(Variable.from_json, record["variables"])}
    values = _read_values(archive, "draws", record, variables)
    log_weights = _read_array(archive, "log_weights") if record["weighted"] else None
    if log_weights is not None and log_weights.shape != (count,):
        raise ValueError("a weight for every draw")
    return WeightedDraws(variables, values, log_weights, dict(record["left_out"]))


def _read_run(archive: zipfile.ZipFile, record: dict[str, Any]) -> Run:
    verdict = {**record["verdict"]}
    for name in ("reasons", "advice"):
        verdict[name] = tuple(verdict[name])
    lists = {name: tuple(record[name]) for name in ("notes", "warnings")}
    lists["rungs"] = tuple(Rung(**rung) for rung in record.get("rungs", ()))
    lists["corrections"] = tuple(Correction(**each) for each in record.get("corrections", ()))
    history = _read_array(archive, "history")
    return Run(**{**record, **lists, "verdict": Verdict(**verdict), "history": history})


def _write_array(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(f"{name}.npy") as member:
        return np.lib.format.read_array(member, allow_pickle=False)
