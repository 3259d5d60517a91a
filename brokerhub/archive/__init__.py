"""Everything a person has, in one file that they can take away, and that a hub can read again."""
