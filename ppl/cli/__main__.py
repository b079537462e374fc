"""`python -m ppl.cli` is `ppl`."""

import sys

from ppl.cli import main

sys.exit(main())
