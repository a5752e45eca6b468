"""Where it is hot, how hot, how big, how severe."""
