"""Stochastic fitting: optimisers on Monte Carlo gradients, minibatches, schedules, checkpoints."""
