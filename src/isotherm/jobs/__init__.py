"""Durable background work, and processes with limits in which strangers' bytes are decoded."""
