"""Whatever the text and the data: a model, or an error with its place. Nothing else comes out.

`tests/benchmarks/fuzz.py` runs the same generators for longer and counts.
"""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from language.fuzzing import GENERATORS

EXAMPLES = {"random JSON": 100, "damaged data": 60, "mutated programs with data": 60, "exchanged words with data": 60}


@pytest.mark.parametrize("name", GENERATORS)
def test_only_proper_refusals(name):
    strategy, run = GENERATORS[name]

    @settings(
        max_examples=EXAMPLES.get(name, 150),
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(strategy)
    def check(value):
        run(value)

    check()
