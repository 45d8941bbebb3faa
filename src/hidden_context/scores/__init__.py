"""Raw outputs of a model with their family: the only code that reads or writes score files."""
