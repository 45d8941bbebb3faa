"""A reward model behind HTTP, for the clients that trainers have already."""
