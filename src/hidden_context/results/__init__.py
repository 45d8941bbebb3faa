"""Saved scores to numbers, and numbers to text; no model is loaded."""
