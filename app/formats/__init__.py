"""Bytes and JSON: the only rooms that know either. Arrays go in and come out."""
