"""From a shopper's words to tokens."""
