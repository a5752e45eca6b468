"""Values, errors, registry and configuration that every other room uses."""
