"""Methods that are imported when they are first run: a fit does not wait for what it does not try."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from ppl.inference.methods import Method, Task
from ppl.inference.outcome import Outcome


@dataclass(frozen=True)
class Later:
    """The method `name` of a module within `ppl.inference`."""

    module: str
    name: str

    @property
    def method(self) -> Method:
        return getattr(import_module(f"ppl.inference.{self.module}"), self.name)

    def __call__(self, task: Task) -> Outcome | None:
        return self.method(task)


CONDITIONAL_CHAINS = Later("learned", "conditional_chains")
LEARNED_GAUSSIAN = Later("learned", "learned_gaussian")
HAMILTONIAN = Later("learned", "hamiltonian")
LOW_RANK = Later("rungs", "low_rank")
MIXTURE = Later("rungs", "mixture")
FLOW = Later("rungs", "flow")
SCORE_MATCHING = Later("families.fit", "score_matching")
STOCHASTIC_GRADIENTS = Later("stochastic.fit", "stochastic_gradients")
