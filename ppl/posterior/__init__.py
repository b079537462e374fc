"""What the user sees after a fit: draws, summaries, predictions, files."""

from ppl.posterior.draws import WeightedDraws
from ppl.posterior.files import read_json_data, replacing, write_json
from ppl.posterior.fit import Fit
from ppl.posterior.run import Bindable
from ppl.posterior.storage import read_fit
from ppl.posterior.summary import Row, Summary
from ppl.posterior.variables import Variable

__all__ = [
    "Bindable",
    "Fit",
    "Row",
    "Summary",
    "Variable",
    "WeightedDraws",
    "read_fit",
    "read_json_data",
    "replacing",
    "write_json",
]
