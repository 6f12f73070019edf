"""The explorer: a page in the browser that shows what a trained model computes, symbol by symbol.

In the order in which a request passes through them:

* ``guard`` (who may ask, and how much), ``routes`` (paths to answers), ``messages`` (what may be asked), ``server``
  (puts them together). These import no torch, so that the page is there before torch is.
* ``answers``: one method for each request. ``models``: the runs that are open. ``traces`` and ``rows``: a text that was
  read, and how. ``store``: what is remembered.
* ``quantities``, ``units``, ``analysis``, ``gradients``, ``elsewhere``: what is said about units and positions.
  ``marks`` and ``patterns``: places in a text.
* ``report``: the page with its answers in one file.

``page`` holds the page as it is built from ``web``, ``demo`` the small model that comes along.
"""
