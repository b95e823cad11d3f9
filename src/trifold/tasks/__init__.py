"""What models mean. Each folder here is a plugin; nothing above this floor names one of them."""
