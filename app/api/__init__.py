"""The routes of /api, a file for each part of the interface."""
