"""Hamiltonian Monte Carlo and the convergence of chains."""
