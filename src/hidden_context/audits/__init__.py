"""Whether preference data have hidden context, from linear heads on frozen vectors of texts."""
