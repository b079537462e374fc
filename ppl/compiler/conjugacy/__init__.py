"""Closed-form coordinate updates: which sites have them, and the programs of expected log densities."""
