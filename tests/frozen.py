"""Imported last by the server of `forked`: what it imported is no garbage of its processes."""

import gc

gc.collect()
gc.freeze()
