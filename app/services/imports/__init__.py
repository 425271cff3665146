"""Models from elsewhere: files of other frameworks, read by their plain parts and made into networks of this one.

Nothing of a file is ever executed. A file is read into a `graph` (layers and tensors) or into named tensors alone, from
which `rebuild` finds the network; `convert` writes it in this project's operators.
"""
