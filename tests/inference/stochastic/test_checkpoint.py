"""Checkpoints: a fit that is killed goes on where it was, bit for bit; a checkpoint of another fit is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import ppl
from ppl.errors import InferenceError

SCRIPT = """
import sys, warnings
import numpy as np
import ppl
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
x = rng.normal(size=400)
data = {"x": x, "y": (rng.random(400) < 0.7).astype(int), "z": rng.normal(size=400)}
anchored = '''
data N: int
data x, z: real[N]
data y: bool[N]
param a: real = 0.0
b ~ normal(0, 2)
@minibatch(50)
plate n in N {
  z[n] ~ normal(a, 1)
  y[n] ~ bernoulli(logits = b * x[n])
}
'''
amortised = '''
data N: int
data x, z: real[N]
data y: bool[N]
param a: real = 0.0
b ~ normal(0, 2)
net enc = mlp([1, 3, gaussian(1)], act="tanh")
@minibatch(50)
plate n in N {
  @amortized(enc([z[n]]))
  u[n] ~ normal(a, 1)
  z[n] ~ normal(u[n], 0.5)
  y[n] ~ bernoulli(logits = b * x[n])
}
'''
if sys.argv[3] == "streamed":
    data = ppl.open_data(data)
    text, schedule = amortised, "cosine"
else:
    text, schedule = anchored, "staged"
fit = ppl.parse(text).fit(data, seed=3, steps=600, window=50, schedule=schedule, draws=200, progress=False,
                          checkpoint=sys.argv[1], every=2e-4)
np.savez(sys.argv[2], history=fit.run.history, b=fit.posterior.values["b"], a=fit.mean("a"))
"""


def start(tmp_path, name, kind):
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(Path(ppl.__file__).parents[1])}
    arguments = [sys.executable, str(script), str(tmp_path / f"{name}.npz"), str(tmp_path / f"{name}.out.npz"), kind]
    return subprocess.Popen(arguments, env=environment)


def killed_after(process, path, steps):
    """Killed once the file shows so many steps."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, "the run was over before it was killed"
        if path.exists():
            with np.load(path) as stored:
                if len(stored["history"]) >= steps:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    return len(stored["history"])
        time.sleep(0.01)
    raise AssertionError("no checkpoint was written")


@pytest.mark.skipif(os.name == "nt", reason="kills by a signal")
@pytest.mark.parametrize("kind", ["anchored", "streamed"])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, kind):
    """A staged run with the noise of its rows taken off, and one with an encoder whose rows are read."""
    whole = start(tmp_path, "whole", kind)
    broken = start(tmp_path, "broken", kind)
    done = [killed_after(broken, tmp_path / "broken.npz", steps=60)]
    again = start(tmp_path, "broken", kind)
    done.append(killed_after(again, tmp_path / "broken.npz", steps=done[0] + 60))
    assert done[1] < 600
    assert start(tmp_path, "broken", kind).wait() == 0
    assert whole.wait() == 0
    one, other = np.load(tmp_path / "whole.out.npz"), np.load(tmp_path / "broken.out.npz")
    for name in one.files:
        np.testing.assert_array_equal(one[name], other[name])


TEXT = "data y: real[N]\ndata N: int\nmu ~ normal(0, 2)\ny ~ normal(mu, 1)\n"
DATA = {"y": [0.5, 1.5, 2.0, 1.2]}


def fit(path, data=DATA, text=TEXT, **options):
    options = {"steps": 60, "window": 20, "seed": 1, **options}
    return ppl.parse(text).fit(data, method="stochastic", progress=False, checkpoint=path, **options)


@pytest.fixture
def kept(tmp_path):
    with pytest.warns(ppl.UncertainFitWarning):
        fit(tmp_path / "run.npz")
    return tmp_path / "run.npz"


def test_more_steps_go_on_from_the_end(kept, tmp_path):
    with pytest.warns(ppl.UncertainFitWarning):
        longer, whole = fit(kept, steps=100), fit(tmp_path / "other.npz", steps=100)
    np.testing.assert_array_equal(longer.run.history, whole.run.history)
    assert len(longer.run.history) == 100


OTHERS = {
    "the data": {"data": {"y": [0.5, 1.5, 2.0, 1.3]}},
    "the seed": {"seed": 2},
    "the options": {"rate": 0.1},
    "the model": {"text": TEXT.replace("normal(0, 2)", "normal(0, 3)")},
    "the guide": {"guide": "mean_field"},
}


@pytest.mark.parametrize("what", OTHERS)
def test_the_checkpoint_of_another_fit_is_refused(kept, what):
    with pytest.raises(InferenceError, match=f"{what} differ") as caught:
        fit(kept, **OTHERS[what])
    assert caught.value.diagnostics[0].code == "E708"


def test_a_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    path.write_bytes(b"PK nothing")
    with pytest.raises(InferenceError, match="not a checkpoint"):
        fit(path)
