"""The European Central Bank's reference rates as its site has them."""
