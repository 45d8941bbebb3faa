"""What a model's disagreement is worth: measures with their invariances, intervals and controls."""
