"""Use cases: what the command and the server do, without knowing either."""
