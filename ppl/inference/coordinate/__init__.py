"""Coordinate ascent: factors updated in closed form, on all the data (`cavi`) or on parts of it (`svi`)."""
