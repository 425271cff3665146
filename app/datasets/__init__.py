"""The data sets this server has, and how they come to be: of files of people's own, and of packages."""

from app.datasets.registry import MNIST, Datasets

__all__ = ["MNIST", "Datasets"]
