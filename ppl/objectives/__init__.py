"""Objectives: how the draws of one step become one number to maximise."""

from ppl.objectives.base import OBJECTIVES, Objective, ObjectiveKind, Weighting

__all__ = ["OBJECTIVES", "Objective", "ObjectiveKind", "Weighting"]
