"""Import the KDD Cup 2020 Multimodalities Recall files."""
