"""The per-site image classifier API: its folders, its configuration file, its logs, over the same use cases."""
