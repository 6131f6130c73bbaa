"""The formats that ship with snnbridge, a package each; they use the public API only.

The packages do not import each other. What several share stands beside them: ``array_places``
(where the arrays of a document stand), ``checking`` (the option ``check``), ``described_only``
(what stands in a description alone), ``description_file`` (the checkpoint beside a file that has no
place for it), ``features`` (what arrays tell by their names), ``flax_trees`` (Spyx's trees and
others), ``images`` (the order of axes), ``module_keys`` (the keys of each framework's modules),
``option_pairs`` (options such as ``A=B,...``) and ``read_back`` (what a file without the
description loses).
"""
