"""What stands in files: readers that refuse what is wrong, and writers."""
