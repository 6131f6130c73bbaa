"""snnbridge."""
