"""Fits without noise: modes, whitening, mean field with linear response, learned parameterisations."""
