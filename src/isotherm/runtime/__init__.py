"""Running exported graphs without torch, and the model folder on disk."""
