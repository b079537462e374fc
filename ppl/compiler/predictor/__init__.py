"""Observed sites that read a Gaussian through one affine number a row: expectations without draws."""
