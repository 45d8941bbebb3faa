"""Public benchmarks of reward models, by their own rules, and what these leave out."""
