"""Connections to vendors: one file each, used by their broker and their data source; and how any of them is paced and tried again."""
