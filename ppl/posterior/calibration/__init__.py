"""Simulation-based calibration: does a fit, over data from the model itself, say how much it does not know?

Talts, Betancourt, Simpson, Vehtari and Gelman (2018), Validating Bayesian inference algorithms with simulation-based
calibration; test quantities after Modrák et al. (2023), Simulation-based calibration checking for Bayesian
computation: the choice of test quantities shapes sensitivity.
"""

from ppl.posterior.calibration.findings import Finding
from ppl.posterior.calibration.refit import Failure, Quantity, Request
from ppl.posterior.calibration.result import FALSE_ALARM, Calibration
from ppl.posterior.calibration.run import calibrate

__all__ = ["FALSE_ALARM", "Calibration", "Failure", "Finding", "Quantity", "Request", "calibrate"]
