"""Importers that write a prepared data set."""
