"""What can go wrong, one function each."""
