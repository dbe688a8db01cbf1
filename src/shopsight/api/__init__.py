"""The front door: the objects and functions that ``import shopsight as ss`` offers, by subject.

Each adds to a class or function of the layers below what a person at a keyboard wants: paths,
dicts and data frames as input, tables and photos as output.
"""
