"""The paper's synthetic experiments: environments with exact answers, models, figures."""
