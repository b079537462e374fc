"""Guides: Gaussian families over the flat unconstrained vector, factors for discrete sites, and the derived whole."""

from ppl.guides.base import GUIDES, GaussianGuide, VectorGuide
from ppl.guides.derived import Guide, Noise, derive_guide
from ppl.guides.layout import VectorLayout

__all__ = ["GUIDES", "GaussianGuide", "Guide", "Noise", "VectorGuide", "VectorLayout", "derive_guide"]
