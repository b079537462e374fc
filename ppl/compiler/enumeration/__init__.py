"""Finite discrete sites: summed out exactly, and drawn afterwards."""
