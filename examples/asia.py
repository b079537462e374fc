"""The model of asia.ppl as a Python function: the same graph and the same density."""

import json
from pathlib import Path

import numpy as np

import ppl


@ppl.model
def model(asia, dyspnoea):
    ppl.sample("asia", ppl.Bernoulli(0.01), obs=asia)
    smoking = ppl.sample("smoking", ppl.Bernoulli(0.5))
    tuberculosis = ppl.sample("tuberculosis", ppl.Bernoulli(0.05 if asia else 0.01))
    cancer = ppl.sample("cancer", ppl.Bernoulli(np.where(smoking, 0.1, 0.01)))
    bronchitis = ppl.sample("bronchitis", ppl.Bernoulli(np.where(smoking, 0.6, 0.3)))
    either = ppl.deterministic("either", np.logical_or(tuberculosis, cancer))
    ppl.sample("xray", ppl.Bernoulli(np.where(either, 0.98, 0.05)))
    breathless = np.where(either, np.where(bronchitis, 0.9, 0.7), np.where(bronchitis, 0.8, 0.1))
    ppl.sample("dyspnoea", ppl.Bernoulli(breathless), obs=dyspnoea)


if __name__ == "__main__":
    data = json.loads(Path(__file__).with_suffix(".json").read_text())
    print(model.fit(data).summary())
