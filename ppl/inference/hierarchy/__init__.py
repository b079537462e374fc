"""The conditional guide of hierarchical models, whole or unit by unit."""
