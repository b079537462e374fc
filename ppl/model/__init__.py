"""The middle: expressions with named axes, statements, the model, its graph, its text and the plan."""

from ppl.model.builder import Builder
from ppl.model.graph import dependency_graph
from ppl.model.model import Deterministic, DistributionUse, Factor, Model, Note, Param, Site, Statement, SupportOf
from ppl.model.plan import Cost, Plan, SitePlan
from ppl.model.text import expression_text, model_text, statement_text
from ppl.model.uses import distribution

__all__ = [
    "Builder",
    "Cost",
    "Deterministic",
    "DistributionUse",
    "Factor",
    "Model",
    "Note",
    "Param",
    "Plan",
    "Site",
    "SitePlan",
    "Statement",
    "SupportOf",
    "dependency_graph",
    "distribution",
    "expression_text",
    "model_text",
    "statement_text",
]
