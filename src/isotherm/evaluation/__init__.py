"""Arrays to honest numbers; never sees a model."""
