"""How likely utilities make what was observed: outcomes, the loss, what is learned of them."""
