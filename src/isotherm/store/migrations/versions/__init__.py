"""One file a step: ``rNNNN_what.py``, with ``revision = "NNNN"``."""
