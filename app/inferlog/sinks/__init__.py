"""Where finished lines go."""
