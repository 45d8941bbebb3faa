"""Language models as reward models: load, train, save, score."""
