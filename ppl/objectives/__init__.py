"""Objectives: how cost terms become one number to maximise."""
