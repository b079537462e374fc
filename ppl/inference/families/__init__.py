"""How each family of guides is fitted, and the sample that judges it."""
