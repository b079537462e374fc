"""Importance weights: Pareto smoothing, adaptive proposals, the evidence."""
