"""How figures look, on screen and on paper."""
