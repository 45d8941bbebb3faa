"""Measures of a model, each number an `Estimate`: invariances, intervals and controls."""
