"""Inference: starting points, optimisers, diagnostics and the verdict."""
