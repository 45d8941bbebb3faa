"""Judges and reward models held against the people whose votes are known."""
