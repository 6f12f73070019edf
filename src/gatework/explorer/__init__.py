"""The explorer: a page in the browser that shows what a trained model computes, symbol by symbol.

The modules, in the order in which a request passes through them:

* ``guard`` (who may ask, and how much), ``routes`` (paths to answers), ``messages`` (the requests and answers),
  ``server`` (puts them together). These do not import torch, so the page appears before torch is loaded.
* ``answers``: one method for each request. ``models``: the open runs. ``traces`` and ``rows``: a text, and how a model
  reads it. ``store``: recent results.
* ``quantities``, ``units``, ``analysis``, ``gradients``, ``elsewhere``: figures about units and positions. ``marks``
  and ``patterns``: positions in a text.
* ``report``: the page with its answers in one file.

``page`` holds the page as built from ``web``, and ``demo`` the small model that comes with the package.
"""
