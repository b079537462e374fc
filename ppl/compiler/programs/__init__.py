"""What is written: array programs as readable Python, from the statements of a plan."""
