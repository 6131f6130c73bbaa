"""The formats that ship with snnbridge, a package each; they use the public API only.

Beside them stands what several share: ``images`` (the order of axes), ``option_pairs`` (options
such as ``A=B,...``), ``description_file`` (the checkpoint beside a file that has no place for it)
and ``described_only`` (what stands in that alone).
"""
