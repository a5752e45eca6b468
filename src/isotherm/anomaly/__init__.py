"""Learn what normal looks like, score what is not."""
