"""The paper's main job on generated data whose hidden context is known."""
