"""Folder layouts, splits and simulators."""
