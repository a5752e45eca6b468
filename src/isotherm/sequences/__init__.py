"""Active thermography: a stack of frames of a heated part, prepared and turned into maps, lazily and block by block."""
