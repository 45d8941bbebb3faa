"""Preference data: where it comes from, what it must look like, how it becomes tokens."""
