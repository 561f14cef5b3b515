"""A trained network in the formats that others load, and whether each gives the network's answers.

A format is two functions: one writes a file or folder, the other opens it with the format's own runtime. ``formats``
has the table of them, ``checking`` holds what they answer against the network.
"""
