"""Hypothesis tries the same examples in every run, so that a pass means the same everywhere; new ones on demand:

HYPOTHESIS_PROFILE=search pytest tests/backends
"""

import os

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
