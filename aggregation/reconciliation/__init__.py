"""What the books come to, held against what the brokers say: breaks, their causes and what mends them."""
