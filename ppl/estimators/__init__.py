"""Gradient estimators. The pathwise one needs no code: it is the derivative of the cost terms themselves."""
